"""Doorbells, announcements and probes, heard on one connection of its own.

Theory of operation. `wanted` is what should be heard; the connection is only ever a try at it. When it is lost
`next` makes another, later and later, and asks for everything again; each confirmation comes out as Subscribed, which
is how a listener learns that bells may have been lost before it. A server that hangs sends nothing at all, not
even an error, so a silent connection is pinged and, when that brings nothing either, given up.

Channels are sharded ones throughout: on a standalone server they are like any other, on a cluster each rings on its
own shard. One SSUBSCRIBE names one channel, since a cluster refuses two of different slots; they are sent in batches.

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
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from pushpull.model import Cid
from pushpull.store import codec, control
from pushpull.store.connection import take_ready
from pushpull.store.keys import Keys
from pushpull.store.scripts import Wire
from pushpull.store.values import ControlSubscribed, ProbeEcho, Ring, Subscribed

logger = logging.getLogger(__name__)

BATCH: Final = 512  # subscriptions sent at once, so that a node with many feeds does not fill Redis' input buffer
PING_AFTER_S: Final = 5.0  # of silence
LOST_AFTER_S: Final = 10.0  # of silence, the ping unanswered
BACKOFF_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0

_LOST: Final = (redis_errors.RedisError, OSError)
"""What a connection raises when it is gone, and what Redis answers when it refuses a subscription."""


class Bells:
    """One pub/sub connection. One task calls `next`; any may call the rest."""

    def __init__(self, client: Redis, wire: Wire, keys: Keys, *, clock: Callable[[], float] | None = None) -> None:
        self._pool: Any = client.connection_pool  # its make_connection has no types
        self._wire = wire
        self._keys = keys
        self._clock = clock or asyncio.get_running_loop().time
        # channel -> cid; None: control or probe. Bounded by the node's feeds.
        self._wanted: dict[bytes, Cid | None] = {}
        self._leaving: dict[bytes, int] = {}  # channel -> answers to our own unsubscribes still to come
        self._control = keys.control().encode()
        self._probe = b""
        self._connection: Any = None
        self._ahead: deque[Any] = deque()  # frames that came with the last one, in order
        self._sending = asyncio.Lock()
        self._failures = 0
        self._heard_at = 0.0
        self._pinged = False
        self._unreadable = False

    async def start(self, node_id: str) -> None:
        """Listen on the control channel and on this node's probe channel. Does not wait for Redis."""
        self._probe = self._keys.probe(node_id).encode()
        self._wanted[self._control] = None
        self._wanted[self._probe] = None
        await self._send_all("SSUBSCRIBE", [self._control, self._probe])

    async def subscribe(self, cids: Sequence[Cid]) -> None:
        """Hear the bells of `cids`; `next` says Subscribed for each once Redis has confirmed it. Never raises."""
        channels = {self._keys.bell(cid).encode(): cid for cid in cids}
        self._wanted.update(channels)
        await self._send_all("SSUBSCRIBE", list(channels))

    async def unsubscribe(self, cids: Sequence[Cid]) -> None:
        """Hear no more of `cids`, not even what is on its way. Never raises."""
        channels = [self._keys.bell(cid).encode() for cid in cids]
        for channel in channels:
            if self._wanted.pop(channel, None) is not None:
                self._leaving[channel] = self._leaving.get(channel, 0) + 1
        await self._send_all("SUNSUBSCRIBE", channels)

    async def probe(self, token: str) -> None:
        """Publish `token` to this node's own channel: a ProbeEcho proves that doorbells ring. StoreUnavailable."""
        await self._wire.command("SPUBLISH", self._probe, token.encode())

    async def aclose(self) -> None:
        """Close the connection; call it when nobody waits in `next` any more."""
        self._wanted.clear()
        await self._drop_connection()

    async def _send_all(self, command: str, channels: Sequence[bytes]) -> None:
        """Send without waiting for confirmations; without a connection nothing is lost: the next one asks for all."""
        async with self._sending:
            connection = self._connection
            if connection is None or not connection.is_connected:
                return  # redis-py would connect again here, unseen
            try:
                for at in range(0, len(channels), BATCH):
                    batch = [(command, channel) for channel in channels[at : at + BATCH]]
                    await connection.send_packed_command(connection.pack_commands(batch), check_health=False)
            except _LOST as error:
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
            except _LOST as error:
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
            except _LOST:
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
        connection: Any = self._pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        self._leaving.clear()
        self._heard_at, self._pinged, self._failures = self._clock(), False, 0
        await self._send_all("SSUBSCRIBE", list(self._wanted))
        return connection

    async def _lost(self, error: BaseException, give_up: float) -> None:
        """Drop the connection and wait, at most until `give_up`, before another is tried."""
        if self._failures == 0:
            logger.warning("doorbells: the connection to redis is lost (%s), reconnecting", type(error).__name__)
        await self._drop_connection()
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
            return self._message(channel, payload)
        if what == b"sunsubscribe" and self._left(channel):
            return None
        if channel not in self._wanted:
            return None
        if what == b"ssubscribe":
            return self._subscribed(channel)
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

    def _subscribed(self, channel: bytes) -> Ring | None:
        cid = self._wanted[channel]
        if cid is not None:
            return Subscribed(cid)
        return ControlSubscribed() if channel == self._control else None

    def _message(self, channel: bytes, payload: bytes) -> Ring | None:
        cid = self._wanted.get(channel)
        try:
            if cid is not None:
                return codec.bell(cid, payload)
            if channel == self._control:
                return control.decode(payload)
        except (ValueError, RecursionError) as error:
            # Said once: a node of another release may ring like this all day.
            level = logging.DEBUG if self._unreadable else logging.WARNING
            logger.log(level, "doorbells: cannot read a payload on %r: %s", channel, type(error).__name__)
            self._unreadable = True
            return Subscribed(cid) if cid is not None else ControlSubscribed()
        return ProbeEcho(payload.decode(errors="replace")) if channel == self._probe else None
