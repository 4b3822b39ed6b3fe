"""One pub/sub connection to one server, which is made again whenever it is lost.

Theory of operation. `wanted` is what should be heard here; the connection is only ever a try at it. When it is lost
`next` makes another, later and later, and asks for everything again; each confirmation is handed out, which is how a
listener learns that bells may have been lost before it. A server that hangs sends nothing at all, not even an error, so
a silent connection is pinged and, when that brings nothing either, given up.

One SSUBSCRIBE names one channel, since a cluster refuses two of different slots; they are sent in batches.

The connection is redis-py's, its PubSub is not: that one resubscribes without saying so, and costs more per message
than all else in here.

Bells that came in one read are taken from the connection together and wait in `_ahead`, at most a read's worth: to ask
redis-py for each of them would cost a timer each, more than all that is done with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from redis import exceptions as redis_errors

from pushpull.store.exchange import take_ready
from pushpull.store.servers import Server
from pushpull.store.values import Ring

logger = logging.getLogger(__name__)

BATCH: Final = 512  # subscriptions sent at once, so that a node with many feeds does not fill Redis' input buffer
PING_AFTER_S: Final = 2.0  # of silence
LOST_AFTER_S: Final = 4.0  # of silence, the ping unanswered
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0
STEADY_S: Final = 2.0
"""A connection that held so long is lost for the first time again. One that is made and refused at once, as where a
slot has gone elsewhere, asks for all channels anew each time, and each confirmation is a read of a log."""

LOST: Final = (redis_errors.RedisError, OSError)
"""What a connection raises when it is gone, and what Redis answers when it refuses a subscription."""


class Listener(Protocol):
    """What an ear tells, and what that means: None where it means nothing to anyone."""

    def subscribed(self, channel: bytes) -> Ring | None: ...

    def message(self, channel: bytes, payload: bytes) -> Ring | None: ...

    def lost(self) -> None:
        """A connection was lost, or a channel has gone to another server."""


class Ear:
    """One task calls `next` and `ready`; any may call the rest. Bounded by `wanted`, the node's feeds."""

    def __init__(self, server: Server, listener: Listener, *, clock: Callable[[], float]) -> None:
        self.wanted: dict[bytes, None] = {}  # a set, in the order asked for
        self._server = server
        self._listener = listener
        self._clock = clock
        self._leaving: dict[bytes, int] = {}  # channel -> answers to our own unsubscribes still to come
        self._connection: Any = None
        self._ahead: deque[Any] = deque()  # frames that came with the last one, in order
        self._sending = asyncio.Lock()
        self._failures = 0
        self._connected_at = 0.0
        self._heard_at = 0.0
        self._pinged = False

    async def subscribe(self, channels: Iterable[bytes]) -> None:
        """Hear these, too; each confirmation is handed out by `next`. Never raises."""
        new = list(channels)
        self.wanted.update(dict.fromkeys(new))
        await self._send_all("SSUBSCRIBE", new)

    async def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Hear no more of these, not even what is on its way. Never raises."""
        gone = [channel for channel in channels if channel in self.wanted]
        for channel in gone:
            del self.wanted[channel]
            self._leaving[channel] = self._leaving.get(channel, 0) + 1
        await self._send_all("SUNSUBSCRIBE", gone)

    async def reconnect(self) -> None:
        """Give the connection up; `next` makes another."""
        if self._connection is not None:
            await self._connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        """Close the connection; call it when nobody waits in `next` any more."""
        self.wanted.clear()
        await self._drop_connection()

    async def _send_all(self, command: str, channels: list[bytes]) -> None:
        """Send without waiting for confirmations; without a connection nothing is lost: the next one asks for all."""
        async with self._sending:
            connection = self._connection
            if connection is None or not connection.is_connected:
                return  # redis-py would connect again here, unseen
            try:
                for at in range(0, len(channels), BATCH):
                    batch = [(command, channel) for channel in channels[at : at + BATCH]]
                    await connection.send_packed_command(connection.pack_commands(batch), check_health=False)
            except LOST as error:
                # The socket is closed now: whoever reads from it finds out, and reconnects.
                logger.debug("doorbells: %s could not be sent: %s", command, type(error).__name__)

    async def next(self, timeout_s: float) -> Ring | None:
        """The next thing heard, or None after `timeout_s` without any. Rides through a Redis that goes away."""
        give_up = self._clock() + timeout_s
        while True:
            left = give_up - self._clock()
            if left <= 0:
                return None
            try:
                heard = await self._hear(left)
            except LOST as error:
                await self._lost(error, give_up)
                continue
            if heard is not None:
                return heard

    def ready(self) -> list[Ring]:
        """What else was heard together with what `next` returned last, in order; nothing is waited for."""
        heard = []
        while self._ahead:
            try:
                ring = self._meaning(self._ahead[0])
            except LOST:
                break  # `next` meets it again, and reconnects
            self._ahead.popleft()
            if ring is not None:
                heard.append(ring)
        return heard

    async def _hear(self, left_s: float) -> Ring | None:
        """Wait for one frame, at most `left_s`; what it means, None: nothing to anyone, or none came."""
        if self._ahead:
            return self._meaning(self._ahead.popleft())
        connection = self._connection or await self._connect()
        if not connection.is_connected:
            raise redis_errors.ConnectionError("closed while writing")
        wait = min(left_s, self._silence_left())
        frame = await connection.read_response(timeout=wait, disconnect_on_error=False, push_request=True)
        if frame is None:
            await self._keep_alive(connection)
            return None
        self._heard_at, self._pinged = self._clock(), False
        self._ahead.extend(take_ready(connection))
        return self._meaning(frame)

    def _silence_left(self) -> float:
        limit = LOST_AFTER_S if self._pinged else PING_AFTER_S
        return max(0.001, self._heard_at + limit - self._clock())

    async def _keep_alive(self, connection: Any) -> None:
        silent_s = self._clock() - self._heard_at
        if silent_s >= LOST_AFTER_S:
            raise redis_errors.TimeoutError("silent")
        if silent_s >= PING_AFTER_S and not self._pinged:
            self._pinged = True
            async with self._sending:
                await connection.send_command("PING", check_health=False)

    async def _connect(self) -> Any:
        connection: Any = self._server.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        self._leaving.clear()
        self._connected_at = self._heard_at = self._clock()
        self._pinged = False
        await self._send_all("SSUBSCRIBE", list(self.wanted))
        return connection

    async def _lost(self, error: BaseException, give_up: float) -> None:
        """Drop the connection and wait, at most until `give_up`, before another is tried."""
        if self._connection is not None and self._clock() - self._connected_at >= STEADY_S:
            self._failures = 0
        if self._failures == 0:
            name = type(error).__name__
            logger.warning("doorbells: the connection to %s is lost (%s), reconnecting", self._server.name, name)
        await self._drop_connection()
        self._listener.lost()
        ceiling = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await asyncio.sleep(max(0.0, min(random.uniform(0, ceiling), give_up - self._clock())))

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._leaving.clear()
        self._ahead.clear()  # whatever it was: the next connection's confirmations say to read the logs
        if connection is not None:
            await connection.disconnect(nowait=True)

    def _meaning(self, frame: Any) -> Ring | None:
        """What a frame says; None: nothing to anyone. Hot path: once per message and node."""
        if not isinstance(frame, list) or len(frame) != 3:
            if isinstance(frame, Exception):
                raise frame  # a subscription was refused
            return None  # the answer to a ping
        what, channel, payload = frame
        if what == b"smessage":
            return self._listener.message(channel, payload) if channel in self.wanted else None
        if what == b"sunsubscribe" and self._left(channel):
            return None
        if channel not in self.wanted:
            return None
        if what == b"ssubscribe":
            return self._listener.subscribed(channel)
        if what == b"sunsubscribe":
            # Not asked for: the slot has moved. A new connection finds where it went.
            raise redis_errors.ConnectionError("unsubscribed by redis")
        return None

    def _left(self, channel: bytes) -> bool:
        """Whether this is the answer to an unsubscribe of ours; the channel may be wanted again by now."""
        answers = self._leaving.pop(channel, 0)
        if answers > 1:
            self._leaving[channel] = answers - 1
        return answers > 0
