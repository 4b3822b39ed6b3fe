"""What a session owes for a frame: an answer that is known already (Reply), or work that needs the log."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pushpull.delivery import client_frames
from pushpull.delivery.place import Place
from pushpull.model import Cid, Draft


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check the token (None: the upgrade's own), then `opened()` or close."""

    hello: client_frames.Hello


@dataclass(frozen=True, slots=True)
class Renew:
    """Check a fresh token for the same user, then `renewed()` or close."""

    token: str


class Submit(msgspec.Struct, frozen=True, gc=False):
    """Append, and answer `sent` or `error`."""

    draft: Draft
    rid: client_frames.Rid
    number: int = 0  # which of the session's sends it is


class Acked(msgspec.Struct, frozen=True, gc=False):
    """The window of this place moved: write the delivered cursor, send what has waited for the room."""

    place: Place


class Looked(msgspec.Struct, frozen=True, gc=False):
    """What the device has on its screen changed for these places (their `focus` says how): serve them accordingly."""

    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class ReadTo:
    cid: Cid
    seq: int
    rid: client_frames.Rid


@dataclass(frozen=True, slots=True)
class Fetch:
    """A pull; `after` set: forward. Neither set: the newest page, backward."""

    place: Place
    after: int | None
    before: int | None
    limit: int
    rid: client_frames.Rid


@dataclass(frozen=True, slots=True)
class Pass:
    """Tell the members who are connected, now or never."""

    place: Place
    body: bytes  # JSON
    rid: client_frames.Rid


@dataclass(frozen=True, slots=True)
class List:
    """The next page of the conversation list."""

    after: Cid | None
    rid: client_frames.Rid


Decision = Reply | Close | Authenticate | Renew | Submit | Acked | Looked | ReadTo | Fetch | Pass | List
