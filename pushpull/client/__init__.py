"""The Python client: `connect` for a user's device, `Server` and `AsyncServer` for a backend.

async with pushpull.client.connect(url, token=token, device="laptop") as chat:
    async for message in chat.messages():
        print(message.sender, message.body)
"""

from pushpull.client.async_server import AsyncServer
from pushpull.client.chat import Chat
from pushpull.client.closed import ConnectionEnded
from pushpull.client.dial import connect
from pushpull.client.events import (
    Changed,
    Conversation,
    CursorsMoved,
    Event,
    HistoryPage,
    Message,
    Noticed,
    Receipt,
    Refused,
    Reset,
    Signal,
    Unsent,
)
from pushpull.client.server import Server

__all__ = [
    "AsyncServer",
    "Changed",
    "Chat",
    "ConnectionEnded",
    "Conversation",
    "CursorsMoved",
    "Event",
    "HistoryPage",
    "Message",
    "Noticed",
    "Receipt",
    "Refused",
    "Reset",
    "Server",
    "Signal",
    "Unsent",
    "connect",
]
