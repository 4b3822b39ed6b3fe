"""What happened in a run, as those outside the service saw it: every answer to a send, everything a device did.

One event a line of JSON, so that several processes can write their own part of one history.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pushpull.model import Cid, LogId, Uid


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    pass


class Tried(Event, tag="tried"):
    """A send went out. `connection`: sends of one are stored in the order tried; "": no order is promised."""

    cid: Cid
    sender: Uid
    cmid: str
    connection: str = ""


class Answered(Event, tag="answered"):
    """A send was answered: stored at `id`, or refused for good with `code`. No answer is no event."""

    cid: Cid
    sender: Uid
    cmid: str
    id: LogId | None = None
    code: str = ""
    at: float = 0.0  # s, by the clock of Crashed


class Crashed(Event, tag="crashed"):
    """A Redis ended and may lack what was confirmed in the `loses_s` seconds before `at`."""

    at: float
    loses_s: float


class Began(Event, tag="began"):
    """A device stands at `pos`: nothing is shown yet. The first event of a device and conversation."""

    device: str
    cid: Cid
    pos: LogId
    user: Uid = Uid("")


class Left(Event, tag="left"):
    """A device was told that its user is no member any more: it shows nothing of the conversation from here on."""

    device: str
    cid: Cid


class Joining(Event, tag="joining"):
    """The service is about to be asked to make `user` a member again."""

    user: Uid
    cid: Cid


class Parted(Event, tag="parted"):
    """The service has confirmed that `user` is no member any more."""

    user: Uid
    cid: Cid


class Applied(Event, tag="applied"):
    """A device showed this message."""

    device: str
    cid: Cid
    id: LogId
    sender: Uid
    cmid: str


class Withdrawn(Event, tag="withdrawn"):
    """A device was told to go on from `pos` (`reset`): what it shows above is gone."""

    device: str
    cid: Cid
    pos: LogId


class Told(Event, tag="told"):
    """A device was told where its user's cursors are."""

    device: str
    user: Uid
    cid: Cid
    delivered: int
    read: int


_decoder = msgspec.json.Decoder(
    Tried | Answered | Crashed | Began | Left | Joining | Parted | Applied | Withdrawn | Told
)
_encoder = msgspec.json.Encoder()


def write(path: Path, events: Iterable[Event]) -> None:
    """Append `events` to the file, one a line."""
    with path.open("ab") as file:
        for event in events:
            file.write(_encoder.encode(event) + b"\n")


def read(path: Path) -> list[Event]:
    """The events of a file, in order. Raises msgspec.DecodeError for a line that is none."""
    return [_decoder.decode(line) for line in path.read_bytes().splitlines()]
