"""A bot that follows a live event: a conversation of thousands, where messages come faster than anybody reads.

    TOKEN=$(pushpull token bot) python examples/live_comments.py --cid hall --every-s 5

The service does not push each message of such a conversation: it tells that there is something (`notify`), and the
client pulls pages when it has time. This bot counts words and says every few seconds which are said most. It keeps no
position: after a restart it begins with what is new, since an old count helps nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from collections import Counter

from pushpull.client import Chat, Reset, connect
from pushpull.client.events import Message

SHOWN = 3


def words_of(message: Message) -> list[str]:
    text = message.body.get("text") if isinstance(message.body, dict) else None  # a body is whatever its sender wrote
    return re.findall(r"\w{3,}", text.lower()) if isinstance(text, str) else []


async def follow(chat: Chat, cid: str, *, every_s: float) -> None:
    """Count what is said, and say every `every_s` seconds what was said most."""
    await chat.focus(cid)  # it is what this device looks at; its other conversations only say that there is something
    counted: Counter[str] = Counter()
    due = time.monotonic() + every_s
    async for event in chat.events():
        if isinstance(event, Reset):
            counted.clear()  # the log is not what it was
        elif isinstance(event, Message) and event.cid == cid and event.sender != chat.user:
            counted.update(words_of(event))
        if counted and time.monotonic() >= due:
            most = ", ".join(f"{word} ({times})" for word, times in counted.most_common(SHOWN))
            await chat.send(cid, {"text": f"said most: {most}"}, quiet=True)  # nobody's unread count goes up for it
            counted.clear()
            due = time.monotonic() + every_s


async def main() -> None:
    parser = argparse.ArgumentParser(description="Say what is said most in a conversation. The token is in TOKEN.")
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--cid", default="hall")
    parser.add_argument("--every-s", type=float, default=5.0)
    given = parser.parse_args()
    async with connect(given.url, token=os.environ["TOKEN"], device="bot", unnamed="head") as chat:
        print(f"listening as {chat.user}", flush=True)
        await follow(chat, given.cid, every_s=given.every_s)


if __name__ == "__main__":
    asyncio.run(main())
