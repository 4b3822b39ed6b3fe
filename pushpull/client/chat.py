"""A device of one user: messages in, messages out, over a connection that comes back by itself.

async with pushpull.client.connect("http://127.0.0.1:8080", token=token, device="laptop") as chat:
    await chat.send("hello", "Hello, everyone")
    async for message in chat.messages():
        print(message.sender, message.body)
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from pushpull.client import events, frames
from pushpull.client.closed import ConnectionEnded, LinkClosed
from pushpull.client.connection import Connection, OnPositions
from pushpull.client.core import Core
from pushpull.client.events import Conversation, Event, HistoryPage, Message, Unsent
from pushpull.client.inbox import Inbox
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.client.rotation import Rotation
from pushpull.client.sender import Sender
from pushpull.client.tokens import TokenSource
from pushpull.errors import Invalid, PushpullError
from pushpull.model import CMID_MAX, Sent, check_cid

MAX_QUEUED: Final = 1000
"""Messages received and not taken yet. Past it the device lets messages lie at the service and pulls them later."""
MAX_PENDING: Final = 1000
"""Messages on their way out. Past it `send` waits."""
SIGNAL_BYTES: Final = 4096


class Chat:
    """Made by `connect`; see there. One task takes messages; any number may send."""

    def __init__(
        self,
        nodes: Rotation,
        tokens: TokenSource,
        *,
        hello: dict[str, Any],
        positions: Mapping[str, str],
        on_positions: OnPositions | None,
        auto_ack: bool,
        open_s: float,
    ) -> None:
        self.device: str = hello["device"]
        self._auto_ack = auto_ack
        self._open_s = open_s
        self._given_on_positions = on_positions
        self._inbox = Inbox(dict(positions), max_queued=MAX_QUEUED)
        self._outbox = Outbox(max_pending=MAX_PENDING)
        self._core = Core(self._inbox, self._outbox, chance=random.random)
        self._connection = Connection(
            nodes,
            self._core,
            tokens,
            hello=hello,
            on_positions=self._persist,
            on_moved=self._on_moved,
        )
        self._arrived = asyncio.Event()
        self._was_roomy = True
        self._sender = Sender(self._outbox, wake=self._connection.wake, on_unsent=self._on_unsent)
        self._running: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    # ------------------------------------------------------------------------------------------------ open, close

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._connection.run())
        self._running.add_done_callback(self._on_end)
        ready = asyncio.create_task(self._connection.ready.wait())
        try:
            await asyncio.wait({ready, self._running}, timeout=self._open_s, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
            if not ready.done():
                raise ConnectionEnded(f"the service did not answer within {self._open_s:g} s")
        except BaseException:
            await self._stop()
            raise
        finally:
            ready.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ack what was stored, persist the positions, end. Sends that are still under way fail."""
        if self._running is not None and not self._running.done():
            with contextlib.suppress(LinkClosed):
                await self._connection.flush(at_once=True)
        await self._stop()

    async def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._sender.close()

    # ------------------------------------------------------------------------------------------------ receive

    async def messages(self) -> AsyncIterator[Message]:
        """The messages of all conversations, each conversation's in order, each once; ends when the chat is closed.

        Asking for the next one says that the last is stored: it is acked and its position persisted (unless the
        chat was made with `auto_ack=False`; then `ack` says so). Other events are passed over; `events` has them all.
        Raises what ended the connection for good.
        """
        async for event in self.events():
            if isinstance(event, Message):
                yield event

    async def events(self) -> AsyncIterator[Event]:
        """Messages and what else happens, in order: a `Reset` stands exactly where the device has to start over."""
        while True:
            event = await self._next()
            if event is None:
                return
            yield event

    async def ack(self, message: Message) -> None:
        """`message`, and all before it in its conversation, are stored."""
        self._core.mark_stored(message.cid, message.id, now=time.monotonic())
        self._connection.wake()

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """The user's conversations by cid, with unread counts, as far as they are listed by now."""
        return self._core.held.conversations

    @property
    def positions(self) -> dict[str, str]:
        """Where this device stands, {cid: log id}: to be given to `connect` the next time."""
        return dict(self._inbox.stored)

    @property
    def user(self) -> str:
        """Who the token says this is."""
        return self._core.user

    @property
    def connected(self) -> bool:
        """Whether a session is open at this moment."""
        return self._connection.ready.is_set()

    # ------------------------------------------------------------------------------------------------ send

    async def send(
        self,
        cid: str,
        body: Any,
        *,
        kind: str = "message",
        cmid: str | None = None,
        quiet: bool = False,
        mentions: Iterable[str] = (),
        ref: int | None = None,
    ) -> Sent:
        """Send one message and wait until the service has it; it is stored once however often the line is lost.

        `body` is any JSON; `cmid` the message's own id (made here by default). Messages to one conversation are
        stored in the order of the calls. Raises Invalid, TooLarge, NotAMember, CmidConflict … as the service says;
        ConnectionEnded when the chat ends first, in which case it is not known whether it was stored: send again
        with the same cmid.
        """
        limits = self._connection.welcome.limits if self._connection.welcome is not None else {}
        body_bytes = limits.get("body_bytes")
        outgoing = Outgoing(
            cid=check_cid(cid),
            cmid=_checked_cmid(cmid) if cmid is not None else uuid4().hex,
            body=frames.encode_body(body, limit_bytes=body_bytes if isinstance(body_bytes, int) else None),
            kind=kind,
            quiet=quiet,
            mentions=tuple(mentions),
            ref=ref,
        )
        self._raise_if_ended()
        return await self._sender.send(outgoing)

    async def read(self, cid: str, seq: int) -> None:
        """The user has read up to `seq` (1 or more). Returns at once; it is told as soon as there is a connection."""
        if seq < 1:
            raise Invalid(f"seq {seq} is not a seq: 1 or more")
        self._raise_if_ended()
        self._core.read(check_cid(cid), seq)
        self._connection.wake()

    async def signal(self, cid: str, body: Any) -> None:
        """Tell the members who are connected now something passing (typing…), `body` any JSON of up to 4 KiB.

        It goes out at once or not at all, is not stored, and nothing says whether anybody heard it. Where it is not
        allowed (readers, large conversations) a `Refused` is among the events. Raises Invalid or TooLarge.
        """
        raw = frames.encode_body(body, limit_bytes=SIGNAL_BYTES)
        self._raise_if_ended()
        self._core.signals.say(check_cid(cid), raw)
        self._connection.wake()

    async def focus(self, cid: str | None, *, active: bool = True) -> None:
        """Say what is on the screen: this conversation, or none; not `active`: the app is in the background.

        Kept over reconnects. Before the first call everything counts as seen. From then on a large or busy
        conversation that is not on the screen brings no messages: `Noticed` tells of them, and they come once it is.
        Those that are small and calm come as ever. Returns at once.
        """
        self._raise_if_ended()
        self._core.show(None if cid is None else check_cid(cid), active=active)
        self._connection.wake()

    async def history(self, cid: str, *, before: int | None = None, limit: int = 100) -> HistoryPage:
        """Messages older than seq `before` (None: the newest), ascending, at most `limit` of them (1 to 500)."""
        frame: dict[str, Any] = {"type": "pull", "cid": check_cid(cid), "limit": limit}
        if before is not None:
            frame["before"] = before
        self._connection.wake()
        answer = await self._ask(frame)
        if not isinstance(answer, frames.History):
            raise Invalid(f"the service answered a history request with {type(answer).__name__}")
        return HistoryPage(tuple(events.message_of(cid, item) for item in answer.items), answer.floor, answer.more)

    # ------------------------------------------------------------------------------------------------ inside

    async def _next(self) -> Event | None:
        while True:
            self._settle()
            entry = self._inbox.take()
            if entry is not None:
                if entry.event is not None:
                    return entry.event
                continue
            self._raise_if_ended()
            if self._running is None or self._running.done():
                return None
            self._arrived.clear()
            await self._arrived.wait()

    def _settle(self) -> None:
        """The owner asks for the next: what it had in hand is stored."""
        due_before, roomy_before = self._core.acks.due_at, self._was_roomy
        self._core.settle(now=time.monotonic(), acked_by_hand=not self._auto_ack)
        due, self._was_roomy = self._core.acks.due_at, self._inbox.roomy
        # Woken only when there is something to do sooner than before: this runs once a message.
        sooner = due is not None and (due_before is None or due < due_before or due <= time.monotonic())
        if sooner or (self._was_roomy and not roomy_before):
            self._connection.wake()

    def _on_unsent(self, unsent: Unsent) -> None:
        self._inbox.put_event(unsent)
        self._arrived.set()

    async def _ask(self, frame: dict[str, Any]) -> frames.Incoming:
        asked = asyncio.ensure_future(self._connection.requests.ask(frame))
        await asyncio.sleep(0)  # let it be queued before the connection looks
        self._connection.wake()
        return await asked

    def _on_moved(self) -> None:
        self._arrived.set()
        expired, self._core.expired = self._core.expired, []
        self._sender.look_up(expired, user=self.user, history=self.history)

    async def _persist(self, moved: dict[str, str]) -> None:
        if self._given_on_positions is not None:
            answer = self._given_on_positions(moved)
            if answer is not None:
                await answer

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._failure = None if task.cancelled() else task.exception()
        known = self._failure if isinstance(self._failure, PushpullError) else None
        self._sender.end(known or ConnectionEnded("the chat was closed"))
        self._arrived.set()

    def _raise_if_ended(self) -> None:
        if self._failure is not None:
            raise self._failure


def _checked_cmid(cmid: str) -> str:
    if not 1 <= len(cmid) <= CMID_MAX:
        raise Invalid(f"cmid of {len(cmid)} characters, expected 1 to {CMID_MAX}")
    return cmid
