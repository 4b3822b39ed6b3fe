"""Short ways to say an entry, a frame and a session in a test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pushpull.delivery.place import Place
from pushpull.delivery.session import Session
from pushpull.model import TAG_DIGEST_BITS, Cid, Entry, Goodbye, Kind, LogId, Mode, SessionId, Uid
from pushpull.settings import Delivery, Limits, Settings

ROOM = Cid("room")
ALICE = Uid("alice")

DELIVERY = Delivery(ack_wait_ms=5_000, backoff=2.0, max_deliver=3, max_ack_pending=10)


class Connection:
    """A connection that records; nothing is sent anywhere. `buffered` is what a test says."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.buffered = 0
        self.stalled = 0.0
        self.spoke = False
        self.goodbye: Goodbye | None = None

    def write(self, data: bytes) -> None:
        if self.closed is None:
            self.frames.append(data)
            self.spoke = True

    def offer(self, data: bytes, most: int) -> bool:
        if self.buffered > most:
            return False
        self.write(data)
        return True

    @staticmethod
    def offer_all(connections: Sequence[Connection], data: bytes, most: int) -> list[bool]:
        return [each.offer(data, most) for each in connections]

    def write_soon(self, data: bytes) -> None:
        self.write(data)

    def share(self, data: bytes) -> None:
        self.write(data)

    def stalled_s(self, now: float) -> float:
        return self.stalled

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def abort(self) -> None:
        self.aborted = True

    def heard(self, kind: str = "") -> list[dict[str, Any]]:
        """The frames written so far, of one type where it is named."""
        frames = [json.loads(frame) for frame in self.frames]
        return [frame for frame in frames if kind in ("", frame["type"])]

    def ranges(self) -> list[tuple[int, int]]:
        """(after, upto) of each `messages` frame."""
        return [(frame["after"], frame["upto"]) for frame in self.heard("messages")]


def log_id(seq: int, digest: int = 0) -> LogId:
    """The id of the entry at `seq`, which is stored at ms 1000 + seq."""
    return LogId(f"{seq}-{((1000 + seq) << TAG_DIGEST_BITS) + digest}")


def entry(seq: int, **changes: Any) -> Entry:
    """Message `seq` of a log. `digest` makes it another one at the same place."""
    fields: dict[str, Any] = {
        "id": log_id(seq, changes.pop("digest", 0)),
        "seq": seq,
        "ts": 1000 + seq,
        "sender": ALICE,
        "cmid": f"m{seq}",
        "kind": Kind.MESSAGE,
        "body": b'"hi"',
    }
    return Entry(**fields | changes)


def edit(seq: int, ref: int, body: bytes = b'"edited"') -> Entry:
    return entry(seq, kind=Kind.EDIT, ref=ref, body=body, quiet=True)


def redaction(seq: int, ref: int) -> Entry:
    return entry(seq, kind=Kind.REDACT, ref=ref, body=b"null", quiet=True)


def session(*, now: float = 0.0, authenticated: bool = False, **limits: Any) -> Session:
    """A session that waits for its hello."""
    settings = Settings(limits=Limits(**limits), delivery=DELIVERY)
    return Session(SessionId("s1"), Connection(), settings=settings, now=now, authenticated=authenticated)


def open_session(*, now: float = 0.0, expires_at: float | None = None, **limits: Any) -> Session:
    """Alice's session on her laptop, opened."""
    opened = session(now=now, **limits)
    opened.receive('{"type":"hello","device":"laptop","token":"t"}', now)
    opened.opened(ALICE, expires_at=expires_at)
    return opened


def attached(session: Session, *, sent: int = 0, cid: Cid = ROOM, now: float = 0.0) -> Place:
    """Her place in a conversation, with (0, sent] handed to her device."""
    place = session.attach(cid, LogId("0-0"), Mode.PUSH)
    if sent:
        place.window.extend(sent, log_id(sent), now=now, settings=DELIVERY)
    return place


def text(kind: str, /, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})
