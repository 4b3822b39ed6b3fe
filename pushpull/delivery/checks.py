"""Values of a frame that cannot be meant."""

from __future__ import annotations

from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.errors import Invalid, NotAMember, PushpullError
from pushpull.model import check_cid, check_log_id

DEVICE_MAX: Final = 128


def wrong_ack(place: Place | None, cid: str, seq: int) -> PushpullError | None:
    """Why an ack cannot be meant, or None."""
    if place is None:
        return NotAMember(f"ack for {cid[:128]!a}, which is not among the conversations listed to this session")
    if seq < 0:
        return Invalid(f"ack {seq} is not a seq: 0 or more")
    if seq > place.window.sent:
        return Invalid(f"ack {seq} is past {place.window.sent}, the last seq sent to this device")
    return None


def check_hello(hello: frames.Hello) -> None:
    """Raise Invalid where a hello's values cannot be taken."""
    if not 1 <= len(hello.device) <= DEVICE_MAX or not hello.device.isprintable() or " " in hello.device:
        raise Invalid(f"device {hello.device[:40]!a} is not 1 to {DEVICE_MAX} printable characters without spaces")
    if hello.max_backlog is not None and hello.max_backlog < 0:
        raise Invalid(f"max_backlog {hello.max_backlog} is not 0 or more")
    for cid, log_id in hello.positions.items():
        check_cid(cid)
        check_log_id(log_id)
