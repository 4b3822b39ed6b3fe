"""Which conversations wait for a pull, and which have one under way. Pure; `now` in steady seconds.

At most `PULLS` at a time over all conversations: five thousand of them may be behind when a device comes back, and
the service takes 50 frames a second from a user. Bounded by the number of conversations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pushpull.client.rule import Position

PULLS: Final = 8
ANSWER_S: Final = 10.0
"""A pull without an answer for so long is sent again; the connection itself is watched elsewhere."""
STALL_S: Final = 5.0
"""A pushed conversation that stays behind for so long without a frame is pulled: the safety net under push."""
LIMIT: Final = 100


@dataclass(slots=True)
class _Pull:
    cid: str
    rid: str
    sent_at: float


class Pulls:
    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}  # an ordered set: first come, first pulled
        self._under_way: dict[str, _Pull] = {}
        self._not_before: dict[str, float] = {}  # refused for now
        self._stalls_at: dict[str, float] = {}  # pushed, behind, and silent until then
        self._count = 0
        self.due_at: float | None = None

    def clear(self) -> None:
        """The session is over."""
        self._wanted.clear()
        self._under_way.clear()
        self._not_before.clear()
        self._stalls_at.clear()
        self.due_at = None

    def want(self, cid: str) -> None:
        """Look at this conversation with the next `take`."""
        self._wanted[cid] = None

    def heard(self, cid: str, *, answer: bool) -> None:
        """A frame with messages of `cid` came; `answer`: its pull came back with it."""
        self._stalls_at.pop(cid, None)
        if answer:
            self._under_way.pop(cid, None)

    def forget(self, cid: str) -> None:
        """The conversation is gone."""
        for known in (self._wanted, self._under_way, self._not_before, self._stalls_at):
            known.pop(cid, None)

    def refused(self, rid: str | int | None, *, wait_s: float, now: float) -> str | None:
        """The pull `rid` was refused: its conversation waits. Returns the cid; None when it is no pull of ours."""
        for pull in self._under_way.values():
            if pull.rid == rid:
                del self._under_way[pull.cid]
                self._not_before[pull.cid] = now + wait_s
                self.want(pull.cid)
                return pull.cid
        return None

    def take(self, positions: Mapping[str, Position], *, now: float) -> list[dict[str, Any]]:
        """The `pull` frames to send now; `due_at` says when to ask again."""
        self._give_up_late(positions, now)
        self.due_at = min((pull.sent_at + ANSWER_S for pull in self._under_way.values()), default=None)
        frames: list[dict[str, Any]] = []
        for cid in list(self._wanted):
            position = positions.get(cid)
            if position is None or cid in self._under_way or not position.behind or position.rests:
                self._settle(cid)
            elif (at := self._earliest(cid, position, now)) > now:
                self._wait_until(at)
            elif len(self._under_way) < PULLS:
                frames.append(self._pull(cid, position, now))
        return frames

    def _earliest(self, cid: str, position: Position, now: float) -> float:
        if position.chasing:
            return self._not_before.get(cid, now)
        return max(self._not_before.get(cid, now), self._stalls_at.setdefault(cid, now + STALL_S))

    def _settle(self, cid: str) -> None:
        del self._wanted[cid]
        self._not_before.pop(cid, None)
        self._stalls_at.pop(cid, None)

    def _pull(self, cid: str, position: Position, now: float) -> dict[str, Any]:
        self._count += 1
        rid = f"pull-{self._count}"
        position.pulling = position.seq
        self._settle(cid)
        self._under_way[cid] = _Pull(cid, rid, now)
        self._wait_until(now + ANSWER_S)
        return {"type": "pull", "cid": cid, "after": position.seq, "limit": LIMIT, "rid": rid}

    def _give_up_late(self, positions: Mapping[str, Position], now: float) -> None:
        for pull in [pull for pull in self._under_way.values() if now >= pull.sent_at + ANSWER_S]:
            del self._under_way[pull.cid]
            if pull.cid in positions:
                positions[pull.cid].pulling = None
            self.want(pull.cid)

    def _wait_until(self, at: float) -> None:
        self.due_at = at if self.due_at is None else min(self.due_at, at)
