"""Frames that are said again when the service refuses them for the moment: a list page, a read.

Their `rid` names them, so that nothing is kept of those which are taken. Pulls and sends have ways of their own.
Pure; `now` in steady seconds.
"""

from __future__ import annotations

from typing import Any, Final

PREFIX: Final = "again"


class Again:
    """Bounded by the conversations: one frame for each, and one list page."""

    def __init__(self) -> None:
        self._refused: dict[str, float] = {}  # rid → when to say it again

    @property
    def due_at(self) -> float | None:
        """When `take` has something; None: nothing waits."""
        return min(self._refused.values(), default=None)

    def clear(self) -> None:
        """The session is over: the next one begins with its own."""
        self._refused.clear()

    def marked(self, frame: dict[str, Any]) -> dict[str, Any]:
        """`frame` (a `sync` or a `read`), with the rid by which a refusal of it is known."""
        subject = frame["after"] if frame["type"] == "sync" else f"{frame['cid']} {frame['seq']}"
        return {**frame, "rid": f"{PREFIX} {frame['type']} {subject}"}

    def refused(self, rid: object, *, wait_s: float, now: float) -> bool:
        """The service refused `rid` for now; False when it is none of these."""
        if not isinstance(rid, str) or not rid.startswith(f"{PREFIX} "):
            return False
        self._refused[rid] = now + wait_s
        return True

    def take(self, *, now: float) -> list[dict[str, Any]]:
        """The frames to say again now."""
        due = [rid for rid, at in self._refused.items() if at <= now]
        for rid in due:
            del self._refused[rid]
        return [_frame_of(rid) for rid in due]


def _frame_of(rid: str) -> dict[str, Any]:
    _, kind, *subject = rid.split(" ")
    if kind == "sync":
        return {"type": "sync", "after": subject[0], "rid": rid}
    return {"type": "read", "cid": subject[0], "seq": int(subject[1]), "rid": rid}
