"""One device on one WebSocket, by the contract's rule for receiving, and nothing beside it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final, cast

import orjson

from pushpull.bench import wire
from pushpull.bench.crowd import Crowd, Seen
from pushpull.bench.spread import now_ticks
from pushpull.bench.trickle import Trickle

ACK_DELAY_S: Final = 0.2
"""How long a delayed ack waits for others: what the service's `welcome` allows."""
LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing leaves nothing behind, or ten thousand ports would wait a minute after each run."""
START: Final = (0, "0-0")


class Device(asyncio.Protocol):
    __slots__ = (
        "_acking",
        "_dialled",
        "_held",
        "_opened",
        "_pulling",
        "_request",
        "_skip",
        "_skipped",
        "_transport",
        "at",
        "crowd",
        "heads",
        "looks_at",
        "name",
        "on_page",
        "token",
        "trickle",
    )

    def __init__(self, crowd: Crowd, name: str, token: str) -> None:
        self.crowd = crowd
        self.name = name
        self.token = token
        self.at: dict[bytes, tuple[int, str]] = {}  # cid → position
        self.heads: dict[bytes, int] = {}  # cid → the highest head heard of, while it is pulling
        self.trickle: Trickle | None = None  # reads for it, where that may be slow
        self.on_page: Callable[[Seen], None] | None = None  # takes pages in place of the rule for receiving
        self.looks_at: str | None = wire.EVERYWHERE  # the conversation on its screen; None: none is
        self._transport: asyncio.Transport | None = None
        self._request = b""
        self._pulling: set[bytes] = set()
        self._acking: set[bytes] = set()
        self._reset()

    def _reset(self) -> None:
        self._opened = False
        self._dialled = 0
        self._held = b""
        self._skip = 0  # bytes of a frame still to come that are not looked at …
        self._skipped: Seen | None = None  # … because it is this one
        self._pulling.clear()
        self._acking.clear()

    # ------------------------------------------------------------------------------------------------ the line

    async def dial(self, host: str, port: int) -> None:
        """Connect and ask for the upgrade; it is `live` in the crowd later. Raises OSError."""
        self._reset()
        self._dialled = now_ticks()
        self._request = wire.upgrade(host, port, deflate=self.crowd.deflates)
        if self.trickle is not None:
            await self.trickle.dial(host, port)
        else:
            await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def take_all(self) -> None:
        """Take frames from the first byte on: the floor does not speak HTTP."""
        self._opened = True

    def say(self, frame: bytes) -> None:
        """Write a frame that is masked already; nothing happens once the line is lost."""
        if self._transport is not None:
            self._transport.write(frame)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        if self._request:
            self._transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self.crowd.lost += 1

    # ------------------------------------------------------------------------------------------------ bytes in

    def data_received(self, data: bytes) -> None:
        crowd = self.crowd
        crowd.received_bytes += len(data)
        if data == crowd.chunk and not self._held and not self._skip and self._opened:
            assert crowd.chunk_seen is not None
            self._take_messages(crowd.chunk_seen)
        elif self._opened:
            self._frames(data)
        else:
            self._answer_to_upgrade(data)

    def _answer_to_upgrade(self, data: bytes) -> None:
        head, found, rest = (self._held + data).partition(b"\r\n\r\n")
        self._held = b"" if found else head
        if not found:
            return
        if b" 101 " not in head[:16]:
            self.crowd.wrong(f"upgrade answered with {head[:12].decode(errors='replace')}")
            self.hang_up()
            return
        self._opened = True
        self.say(wire.masked(wire.hello(self.token, self.name, self.looks_at, self.at)))
        if rest:
            self._frames(rest)

    def _frames(self, data: bytes) -> None:
        if self._skip:
            if len(data) < self._skip:
                self._skip -= len(data)
                return
            data, self._skip = data[self._skip :], 0
            seen, self._skipped = self._skipped, None
            assert seen is not None
            self._take_messages(seen)
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        while (found := wire.payload_at(data, at)) is not None:
            start, size = found
            if start + size > end:
                if self._pass_over(data[start : start + wire.HEAD_BYTES], start + size - end):
                    return
                break
            payload = data[start : start + size]
            self._take(data[at], payload, data if at == 0 and start + size == end else b"")
            at = start + size
        self._held = data[at:]

    def _pass_over(self, head: bytes, rest: int) -> bool:
        """Whether the frame that begins like this is known, so that the `rest` of it need not be kept."""
        seen = self.crowd.recognise(head) if len(head) == wire.HEAD_BYTES else None
        if seen is None:
            return False
        self._skip, self._skipped = rest, seen
        return True

    # ------------------------------------------------------------------------------------------------ frames in

    def _take(self, opcode: int, payload: bytes, chunk: bytes) -> None:
        if opcode == wire.DEFLATED:
            payload = wire.inflated(payload)
        elif opcode != wire.TEXT:
            self._take_close(opcode, payload)
            return
        kind = payload[wire.KIND]
        if kind == b"mess":
            seen = self.crowd.messages(payload)
            if seen is not None:
                if chunk:
                    self.crowd.chunk, self.crowd.chunk_seen = chunk, seen
                self._take_messages(seen)
                return
        take = _TAKERS.get(kind)
        if take is not None:
            take(self, payload)
        else:
            self.crowd.wrong(f"frame that begins with {kind!r}")

    def _take_close(self, opcode: int, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if opcode == wire.CLOSE else opcode
        self.crowd.wrong(f"closed with {code} {payload[2:40].decode(errors='replace')}")

    def _take_messages(self, seen: Seen) -> None:
        crowd = self.crowd
        crowd.frames += 1
        if self.on_page is not None:
            self.on_page(seen)
            return
        cid = seen.cid
        at = self.at.get(cid, START)[0]
        self._pulling.discard(cid)
        if seen.after > at:
            crowd.gaps += 1
            self._pull(cid, at)
            return
        if seen.upto > at:
            crowd.items += seen.upto - at
            self.at[cid] = seen.end
            if self.looks_at is not None:  # nobody is there to see how late it is
                crowd.arrived(seen)
        crowd.repeated += min(at, seen.upto) - seen.after
        self._acknowledge(cid, seen.upto)
        if self.heads and self.heads.get(cid, 0) <= seen.upto:
            self.heads.pop(cid, None)
        if max(seen.head, self.heads.get(cid, 0)) > self.at.get(cid, START)[0] and self._comes:
            self._pull(cid, self.at[cid][0])

    def _take_notice(self, payload: bytes) -> None:
        self.crowd.notices += 1
        match = wire.NOTICE.match(payload)
        if match is None or not self._comes:
            return
        cid, head = match[1], int(match[2])
        at = self.at.get(cid, START)[0]
        if head <= at:
            return
        if cid in self._pulling:
            self.heads[cid] = head
        else:
            self._pull(cid, at)

    @property
    def _comes(self) -> bool:
        """Whether it pulls what it is told of."""
        return self.crowd.pulls and self.looks_at is not None

    def _take_sync(self, payload: bytes) -> None:
        page = orjson.loads(payload)
        for row in page["conversations"]:
            cid = row["cid"].encode()
            if cid not in self.at:
                self.at[cid] = (int(row["start"].partition("-")[0]), row["start"])
        if page["next"] is not None:
            self.say(wire.masked(orjson.dumps({"type": "sync", "after": page["next"]})))
            return
        self.crowd.live += 1
        self.crowd.opening.add(now_ticks() - self._dialled)

    def _take_sent(self, payload: bytes) -> None:
        match = wire.CMID.search(payload)
        if match is None:
            self.crowd.wrong("sent without a cmid")
            return
        stamp, _, number = match[1].partition(b"-")
        self.crowd.answer.add(now_ticks() - int(stamp))
        self.crowd.sent += 1
        self.crowd.on_sent(int(number))

    def _take_error(self, payload: bytes) -> None:
        self.crowd.wrong(f"error {orjson.loads(payload).get('code')}")

    def _take_ping(self, payload: bytes) -> None:
        self.say(wire.masked(b'{"type":"pong"}'))

    def _pass(self, payload: bytes) -> None:
        """A frame that is of no interest here."""

    # ------------------------------------------------------------------------------------------------ frames out

    def _pull(self, cid: bytes, after: int) -> None:
        self._pulling.add(cid)
        self.crowd.pulled += 1
        self.say(wire.masked(b'{"type":"pull","cid":"%b","after":%d,"limit":%d}' % (cid, after, self.crowd.pull_limit)))

    def _acknowledge(self, cid: bytes, upto: int) -> None:
        if self.crowd.acks == "at_once":
            self._ack(cid, upto)
        elif self.crowd.acks == "delayed" and cid not in self._acking:
            self._acking.add(cid)
            asyncio.get_running_loop().call_later(ACK_DELAY_S, self.ack_now, cid)

    def look(self, cid: str | None) -> None:
        """Have another conversation on the screen from now on; None: none."""
        self.looks_at = cid
        self.say(wire.masked(orjson.dumps({"type": "focus", "cid": cid})))

    def ack_now(self, cid: bytes) -> None:
        """Acknowledge all that is here."""
        self._acking.discard(cid)
        self._ack(cid, self.at[cid][0])

    def _ack(self, cid: bytes, upto: int) -> None:
        self.crowd.acked += 1
        self.say(wire.masked(b'{"type":"ack","acks":{"%b":%d}}' % (cid, upto)))


_TAKERS: Final[dict[bytes, Callable[[Device, bytes], None]]] = {
    b"noti": Device._take_notice,
    b"sync": Device._take_sync,
    b"sent": Device._take_sent,
    b"erro": Device._take_error,
    b"ping": Device._take_ping,
    b"welc": Device._pass,
    b"curs": Device._pass,
    b"rece": Device._pass,
    b"conv": Device._pass,
}
