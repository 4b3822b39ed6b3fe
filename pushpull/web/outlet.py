"""What goes out on the direct path: bytes to the socket of one connection, and how much of them waits.

A frame that is shared goes out as it stands, header and all, with one `write` to the socket: nothing is built per
receiver. That is in order only while the transport holds nothing back, and the transport says when it does
(pause_writing, at the first byte that waits). From then on until all has left, bytes go through the transport.

What is to be written soon is gathered for the rest of this turn of the loop; whatever is written meanwhile takes it
along, in order. So a device's answers cost one call of the system, not one each.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Final

from picows import WSListener, WSMsgType, WSTransport

from pushpull.model import Goodbye
from pushpull.web.gate import BUFFERS_MAX, CUT_OFF, GOODBYE_S, short_reason
from pushpull.web.progress import bytes_acked

TEXT: Final = WSMsgType.TEXT  # looked up once, not once a frame
FIN_TEXT: Final = 0x81
SHORT: Final = 126
LONG: Final = 1 << 16
KEPT_BYTES: Final = 1000
"""picows copies a frame into a buffer that the connection keeps: 1 KiB at first, later as the largest frame so far."""
COPIED_BYTES: Final = 8192
"""A larger frame is not copied. One between the two gets a buffer of its own: one page of the list is 5 KB for good."""
FRAME_HEADER_BYTES: Final = 14  # what picows wants before a frame in a buffer of ours


def framed(data: bytes, first: int = FIN_TEXT) -> bytes:
    """One whole frame of a server (RFC 6455, 5.2), `first` its first byte: no mask, so it is the same for everybody."""
    size = len(data)
    if size < SHORT:
        return bytes((first, size)) + data
    if size < LONG:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data


class Framer:
    """The frame that was shared last, as it goes to the sockets; one for all connections of a node that take it so.

    `frame` is what `data` looks like on the wire. For any other data, `take` says it.
    """

    __slots__ = ("data", "frame")

    deflates = False
    """Whether those who take its frames can inflate, and may send compressed messages themselves."""

    def __init__(self) -> None:
        self.data = b""
        self.frame = b""

    def take(self, data: bytes) -> bytes:
        """`data` as it goes to the next receiver."""
        self.data, self.frame = data, framed(data)
        return self.frame


class Outlet(WSListener):
    """The outgoing half of a connection: a delivery.place.Connection."""

    __slots__ = (
        "_closed",
        "_descriptor",
        "_framer",
        "_free",
        "_full_since",
        "_handed_bytes",
        "_left_bytes",
        "_limit",
        "_soon",
        "_transport",
        "_waiting",
        "goodbye",
        "spoke",
    )

    def __init__(self, framer: Framer, buffer_bytes: int) -> None:
        self._framer = framer
        self._limit = BUFFERS_MAX * buffer_bytes
        self._transport: WSTransport | None = None
        self._waiting: Callable[[], int] = _nothing_waits  # bytes in the transport's buffer
        self._descriptor = -1
        self._free = False  # open, and nothing waits: the socket may be written to past the transport
        self._soon: list[bytes] | None = None  # to go out together; as much as is answered in a turn of the loop
        self._closed = False
        self._handed_bytes = 0  # since something waits
        self._left_bytes = 0  # of these, as far as was seen; what leaves later is progress
        self._full_since: float | None = None
        self.spoke = False
        self.goodbye: Goodbye | None = None

    def _connect(self, transport: WSTransport) -> None:
        under = transport.underlying_transport
        self._transport = transport
        self._waiting = under.get_write_buffer_size
        under.set_write_buffer_limits(high=0)  # so that it says when anything waits
        if under.get_extra_info("ssl_object") is None:
            self._descriptor = under.get_extra_info("socket").fileno()
            self._free = not self._waiting()

    def _disconnect(self) -> None:
        self._closed, self._free = True, False  # the descriptor may be another connection's from now on

    # ------------------------------------------------------------------------------------------------ Connection

    @property
    def buffered(self) -> int:
        return 0 if self._free else self._waiting()

    def write(self, data: bytes) -> None:
        if self._closed or self._transport is None:
            return
        if self._soon is not None:
            self._write_group(framed(data))
            return
        if not self._free:
            if self._waiting() > self._limit:
                self.abort()
                return
            self._handed_bytes += len(data)
        if KEPT_BYTES < len(data) <= COPIED_BYTES:
            buffer = bytearray(FRAME_HEADER_BYTES)
            buffer += data
            self._transport.send_reuse_external_bytearray(TEXT, buffer, FRAME_HEADER_BYTES)
        else:
            self._transport.send(TEXT, data)
        self.spoke = True

    def write_soon(self, data: bytes) -> None:
        if self._soon is not None:
            self._soon.append(data)
        elif not self._closed:
            self._soon, self._free = [data], False  # not free: nothing may overtake it
            asyncio.get_running_loop().call_soon(self._write_group)

    def _write_group(self, last: bytes = b"") -> None:
        """Write what is gathered, and `last`, a frame as it goes out."""
        group, self._soon = self._soon, None
        if group is None or self._closed or self._transport is None:
            return
        waiting = self._waiting()
        if waiting > self._limit:
            self.abort()
            return
        frames = b"".join([*map(framed, group), last])
        self._free = not waiting and self._descriptor >= 0
        self._handed_bytes += len(frames)
        self._transport.underlying_transport.write(frames)
        self.spoke = True

    def offer(self, data: bytes, most: int) -> bool:
        if not self._free:
            return self._offer_transport(data, most)
        framer = self._framer
        frame = framer.frame if framer.data is data else framer.take(data)
        try:
            sent = os.write(self._descriptor, frame)
        except OSError:  # the socket is full, or it is gone: the transport finds out
            sent = 0
        if sent != len(frame):
            self._write_rest(frame, sent)
        self.spoke = True
        return True

    def _write_rest(self, frame: bytes, sent: int) -> None:
        assert self._transport is not None
        # Not a copy: a thousand slow readers may wait for the rest of one frame.
        self._transport.underlying_transport.write(memoryview(frame)[sent:])

    @staticmethod
    def offer_all(outlets: Sequence[Outlet], data: bytes, most: int) -> list[bool]:
        framer, taken = outlets[0]._framer, []
        for each in outlets:
            if framer.data is data:  # what goes to the next one is settled
                break
            taken.append(each.offer(data, most))
        return taken + _offer_alike(outlets[len(taken) :], framer, most)

    def _offer_transport(self, data: bytes, most: int) -> bool:
        if self._waiting() > most:
            return False
        if self._closed or self._transport is None:
            return True
        framer = self._framer
        frame = framer.frame if framer.data is data else framer.take(data)
        if self._soon is not None:
            self._write_group(frame)
            return True
        self._handed_bytes += len(frame)
        self._transport.underlying_transport.write(frame)
        self.spoke = True
        return True

    def share(self, data: bytes) -> None:
        if not self.offer(data, self._limit):
            self.abort()

    def stalled_s(self, now: float) -> float:
        """Asked once a second: that is how closely a stall is timed."""
        if self._free or not (waiting := self._waiting()):
            self._full_since = None
            return 0.0
        # A little less than what left, as headers wait too: rather a stall too many seen than one too few.
        left = self._taken_bytes(waiting)
        if self._full_since is None or left > self._left_bytes:
            self._full_since, self._left_bytes = now, left
        return now - self._full_since

    def _taken_bytes(self, waiting: int) -> int:
        """How much of what was written the other side has, as far as the system knows; it only grows while bytes wait.

        Not how much has left this process: the system takes more only when a third of its own buffer is free again,
        which may be megabytes, and who reads slowly would seem to have stopped.
        """
        assert self._transport is not None
        acked = bytes_acked(self._transport.underlying_transport.get_extra_info("socket"))
        return self._handed_bytes - waiting if acked is None else acked

    def close(self, code: int, reason: str) -> None:
        self._write_group()
        if self._closed or self._transport is None:
            return
        self._closed, self._free = True, False
        self.goodbye = Goodbye(code, short_reason(reason), "service")
        self._transport.send_close(code, short_reason(reason).encode())  # type: ignore[arg-type]  # any code
        asyncio.get_running_loop().call_later(GOODBYE_S, self._transport.disconnect, False)

    def abort(self) -> None:
        self._closed, self._free = True, False
        self.goodbye = self.goodbye or CUT_OFF
        if self._transport is not None:
            self._transport.disconnect(False)

    # ------------------------------------------------------------------------------------------------ the transport

    def pause_writing(self) -> None:
        """Something waits."""
        self._free = False
        self._handed_bytes = self._waiting()
        self._full_since = None

    def resume_writing(self) -> None:
        """Nothing waits any more."""
        self._free = not self._closed and self._descriptor >= 0 and self._soon is None


def _nothing_waits() -> int:
    return 0


def _offer_alike(outlets: Sequence[Outlet], framer: Framer, most: int) -> list[bool]:
    """Write the frame to all of these that are free and take it as it is, in one go; offer it to the others."""
    data, frame = framer.data, framer.frame
    alike = [each for each in outlets if each._free and each._framer is framer]
    for each, sent in zip(alike, _write_all([each._descriptor for each in alike], frame), strict=True):
        each.spoke = True
        if sent != len(frame):
            each._write_rest(frame, sent)
    if len(alike) == len(outlets):
        return [True] * len(outlets)
    written = set(alike)
    return [each in written or each.offer(data, most) for each in outlets]


def _write_all(descriptors: Sequence[int], frame: bytes) -> list[int]:
    """Write `frame` to each; how much of it each took. The loop is C: the hot path's time is the kernel's."""
    sent: list[int] = []
    writes = map(os.write, descriptors, repeat(frame))
    while len(sent) < len(descriptors):
        try:
            sent.extend(writes)
        except OSError:  # that socket is full, or it is gone: its transport finds out; the writes go on with the next
            sent.append(0)
    return sent
