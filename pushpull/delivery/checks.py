"""Values of a frame that cannot be meant."""

from __future__ import annotations

from typing import Final

from pushpull.delivery import client_frames
from pushpull.delivery.place import Place
from pushpull.errors import Invalid, NotAMember, PushpullError
from pushpull.model import check_cid, check_log_id

DEVICE_MAX: Final = 128
UTF8_MAX: Final = 4  # bytes a character takes at the most


def bytes_of(text: str | bytes, limit: int) -> int:
    """How many bytes a frame has, counted only where that decides whether it is over `limit`."""
    size = len(text)
    if isinstance(text, str) and size <= limit < size * UTF8_MAX:
        return len(text.encode("utf-8", "surrogatepass"))
    return size


def wrong_ack(place: Place | None, cid: str, seq: int) -> PushpullError | None:
    """Why an ack cannot be meant, or None."""
    if place is None:
        return NotAMember(f"ack for {cid[:128]!a}, which is not among the conversations listed to this session")
    if seq < 0:
        return Invalid(f"ack {seq} is not a seq: 0 or more")
    if seq > place.window.sent:
        return Invalid(f"ack {seq} is past {place.window.sent}, the last seq sent to this device")
    return None


def check_pull(pull: client_frames.Pull, limit: int) -> None:
    """Raise Invalid where a pull of at most `limit` messages cannot be meant."""
    if not 1 <= limit <= client_frames.PULL_MAX:
        raise Invalid(f"limit {limit} is not 1 to {client_frames.PULL_MAX}")
    if pull.after is not None and pull.before is not None:
        raise Invalid(f"a pull has after ({pull.after}) or before ({pull.before}), not both")
    if pull.after is not None and pull.after < 0:
        raise Invalid(f"after {pull.after} is not a seq: 0 or more")
    if pull.before is not None and pull.before < 1:
        raise Invalid(f"before {pull.before} is not a seq: 1 or more")


def check_read(read: client_frames.Read) -> None:
    """Raise Invalid where a read cannot be meant."""
    if read.seq < 1:
        raise Invalid(f"seq {read.seq} is not a seq: 1 or more")


def check_hello(hello: client_frames.Hello) -> None:
    """Raise Invalid where a hello's values cannot be taken."""
    if not 1 <= len(hello.device) <= DEVICE_MAX or not hello.device.isprintable() or " " in hello.device:
        raise Invalid(f"device {hello.device[:40]!a} is not 1 to {DEVICE_MAX} printable characters without spaces")
    if hello.max_backlog is not None and hello.max_backlog < 0:
        raise Invalid(f"max_backlog {hello.max_backlog} is not 0 or more")
    if isinstance(hello.focus, str):
        check_cid(hello.focus)
    for cid, log_id in hello.positions.items():
        check_cid(cid)
        check_log_id(log_id)
