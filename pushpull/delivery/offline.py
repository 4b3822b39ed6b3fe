"""Who is notified while away, what the webhook is told, and when it is tried again.

A member who is behind is notified when something is unread, no notification of this conversation is outstanding, and
neither the conversation nor the member leaves it out:

    the conversation says       its mode     whoever may be notified
    nothing                     push         everybody
    nothing                     notify       those who are mentioned
    all, mentions, none         either       as it says

    the member says             may be notified
    all (or nothing)            as the conversation has it
    mentions                    if it is mentioned in something unread
    none, or muted until later  never
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from pushpull.delivery.frames import item
from pushpull.model import Absent, Entry, Mode, Notification

Level = Literal["all", "mentions", "none"]

TYPE: Final = "conversation.unread"

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 600.0
"""Ten tries, each twice as long after the one before, are some 17 minutes; more do not come less often than this."""
LONGEST_PAUSE_S: Final = 3_600.0
"""A receiver that asks for a longer pause is tried again after this."""


def level_of(own: str | None, mode: Mode) -> Level:
    """Who of a conversation may be notified; `own` is its setting `offline`, None where it has none."""
    if own is None:
        return "all" if mode is Mode.PUSH else "mentions"
    return "all" if own == "all" else "mentions" if own == "mentions" else "none"


def is_notified(who: Absent, level: Level, *, now_ms: int) -> bool:
    """Whether a member who is behind is told so now."""
    if who.told or who.unread <= 0 or level == "none" or who.prefs.notify == "none":
        return False
    if who.prefs.mute_until is not None and who.prefs.mute_until > now_ms:
        return False
    return who.mentioned or (level == "all" and who.prefs.notify != "mentions")


def body_of(notification: Notification, newest: Entry | None) -> bytes:
    """The webhook's body, JSON. `newest`: the newest message, where it is there and small enough to come along."""
    data: dict[str, Any] = {
        "event": notification.id,
        "cid": notification.cid,
        "head": notification.upto,
        "users": [
            {"user": user.uid, "unread": user.unread, "mentioned": user.mentioned} for user in notification.users
        ],
    }
    if newest is not None:
        data["item"] = orjson.Fragment(item(newest))
    made = datetime.fromtimestamp(notification.made_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"type": TYPE, "timestamp": made.replace("+00:00", "Z"), "data": data})


def retry_s(tries: int, *, asked_s: float | None, spread: float) -> float:
    """Seconds until the next try after `tries` (≥ 1) that failed: twice as long each time, at most LAST_RETRY_S.

    `spread` (0 to 1) shortens it by up to half, so that what failed together does not come back together. Not before
    `asked_s`, the receiver's own wish, up to LONGEST_PAUSE_S.
    """
    wait_s = min(FIRST_RETRY_S * 2.0 ** min(tries - 1, 30), LAST_RETRY_S) * (1 - spread / 2)
    return max(wait_s, min(asked_s or 0.0, LONGEST_PAUSE_S))
