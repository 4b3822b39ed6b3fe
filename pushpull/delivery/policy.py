"""How a session gets a conversation: pushed, gathered, notified, or told now and then.

`decide` is the whole decision, in this order:

    the conversation's settings say notify       notified
    the session is slow                          notified, until it has caught up
    the conversation's settings say push         pushed; gathered where they name a window
    it is large, or busy, and the session has
      said that it is on the screen              gathered: one frame a window
      said that something else is                told: a notice now and then
    it is large                                  notified
    it is small                                  pushed; gathered where the settings name a window

Large is a matter of members, busy one of what pushing each message to each of them would come to. Both have edges with
hysteresis, so that a conversation which hovers at one does not flip (`Standing` is what is remembered of it):

    large     begins above push_max_members × (1 + hysteresis), ends below push_max_members × (1 − hysteresis)
    busy      begins above push_max_per_s × room × (1 + hysteresis) pushes a second, ends below what the least room
              allows; `room` is 1 on a node with time to spare and LEAST_ROOM on a full one

So the node's load can make a conversation busy and never calm: what gathers because a node is full makes it less full,
and must not swing back for that. Who says nothing of its screen is decided by size alone.

`docs/threshold.md` has the table of cases, which the tests go through.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

import msgspec

from pushpull.model import ConversationSettings, Mode
from pushpull.settings import Delivery

LOAD_WANTED: Final = 0.5
"""The share of the loop's time that rounds and what they set off may fill: the rest is for sends and live pushes."""
FULL: Final = 0.9
"""A load above which there may be any amount of work waiting."""
SOFTLY: Final = 0.3
LEAST_ROOM: Final = 0.25
"""Of push_max_per_s: what a conversation may still push on a full node before it counts as busy."""


class Focus(Enum):
    """What a session has said of a conversation and its screen."""

    UNSAID = "unsaid"
    HERE = "here"
    ELSEWHERE = "elsewhere"

    __hash__ = object.__hash__  # Enum's own is Python, and these are keys of what every feed keeps


class Way(Enum):
    """How messages reach a session."""

    PUSHED = "pushed"  # each message as it comes
    GATHERED = "gathered"  # those of a window in one frame
    NOTIFIED = "notified"  # a notice every notify_interval_ms at the most; it pulls
    TOLD = "told"  # a notice every notify_away_ms at the most; it pulls once somebody looks

    mode: Mode

    def __init__(self, name: str) -> None:
        self.mode = Mode.PUSH if name in ("pushed", "gathered") else Mode.NOTIFY

    __hash__ = object.__hash__


class Standing(NamedTuple):
    """On which side of its edges a conversation is."""

    large: bool
    busy: bool


class Situation(msgspec.Struct, frozen=True, gc=False):
    """What there is to decide from.

    `rate`: messages a second, smoothed. `load`: 0 to 1 of the node's time, smoothed. `slow`: its buffer was full, or
    too many windows wait for acks, and it has not caught up.
    """

    members: int
    own: ConversationSettings
    rate: float = 0.0
    load: float = 0.0
    focus: Focus = Focus.UNSAID
    slow: bool = False


class Decision(msgspec.Struct, frozen=True, gc=False):
    """`window_s`: how long messages are gathered before they go out together; 0 where they are not."""

    way: Way
    why: str
    standing: Standing
    window_s: float = 0.0

    @property
    def mode(self) -> Mode:
        return self.way.mode


def decide(at: Situation, *, before: Standing | None, settings: Delivery) -> Decision:
    """How a session gets a conversation; `before` is where the conversation stood so far, None: not known."""
    return choose(at, standing=stand(at, before=before, settings=settings), before=before, settings=settings)


def choose(at: Situation, *, standing: Standing, before: Standing | None, settings: Delivery) -> Decision:
    """`decide`, for a conversation of which it is known how it stands (and stood before)."""
    if at.own.mode == Mode.NOTIFY:
        return Decision(Way.NOTIFIED, "the conversation's settings say notify", standing)
    if at.slow:
        return Decision(Way.NOTIFIED, "the session does not keep up", standing)
    if at.own.mode == Mode.PUSH:
        return _pushed(at, "the conversation's settings say push", standing)
    why = _size(at, before, settings)
    if at.focus is not Focus.UNSAID and (standing.large or standing.busy):
        return _by_focus(at, why, standing, settings)
    if standing.large:
        return Decision(Way.NOTIFIED, why, standing)
    return _pushed(at, why, standing)


def stand(at: Situation, *, before: Standing | None, settings: Delivery) -> Standing:
    """Whether a conversation is large, and whether it is busy; what its session says has no part in it."""
    limit, band = settings.push_max_members, settings.hysteresis
    if before is None:
        large = at.members > limit
    elif before.large:
        large = at.members >= limit * (1 - band)
    else:
        large = at.members > limit * (1 + band)
    pushes = at.members * at.rate
    if before is not None and before.busy:
        busy = pushes >= settings.push_max_per_s * LEAST_ROOM * (1 - band)
    else:
        busy = pushes > settings.push_max_per_s * _room(at.load) * (1 + band)
    return Standing(large, busy)


def _room(load: float) -> float:
    """The share of push_max_per_s that a node so busy grants: all up to LOAD_WANTED, LEAST_ROOM from FULL on."""
    strain = min(max((load - LOAD_WANTED) / (FULL - LOAD_WANTED), 0.0), 1.0)
    return 1.0 - strain * (1.0 - LEAST_ROOM)


def _size(at: Situation, before: Standing | None, settings: Delivery) -> str:
    limit = f"push_max_members is {settings.push_max_members}"
    if before is None:
        return f"{at.members} members, {limit}"
    was = Mode.NOTIFY if before.large else Mode.PUSH
    return f"{at.members} members, was {was}, {limit} ± {settings.hysteresis:.0%}"


def _by_focus(at: Situation, why: str, standing: Standing, settings: Delivery) -> Decision:
    if standing.busy:
        why = f"{why}; {at.rate:.3g} messages a second, push_max_per_s is {settings.push_max_per_s:g}"
    if at.focus is Focus.ELSEWHERE:
        return Decision(Way.TOLD, f"{why}; not on the screen", standing)
    window_ms = at.own.push_window_ms or settings.push_window_ms
    return Decision(Way.GATHERED, f"{why}; on the screen: gathered for {window_ms} ms", standing, window_ms / 1000)


def _pushed(at: Situation, why: str, standing: Standing) -> Decision:
    if not at.own.push_window_ms:
        return Decision(Way.PUSHED, why, standing)
    why = f"{why}; they also say push_window_ms {at.own.push_window_ms}"
    return Decision(Way.GATHERED, why, standing, at.own.push_window_ms / 1000)


def is_small(members: int, settings: Delivery) -> bool:
    """Whether a conversation of `members` members has what only small ones have: signals, receipts, presence.

    What they cost grows with the square of the members, so no setting of the conversation's own changes that.
    """
    return members <= settings.push_max_members


def next_stretch(stretch: float, *, load: float, settings: Delivery) -> float:
    """By how much (≥ 1) the rounds of large groups take longer than wanted, by how busy the node was so far.

    `load`: the share of the last second, 0 to 1, that the loop's thread computed. Where rounds are what fills it, it
    falls as they get longer, so their product is kept. A loop that is full makes everybody wait: then at once. Else
    softly, since a round takes about as long as the second that is looked at, and whoever corrects all that one second
    shows swings to and fro. Call once a second.

    At the most notices go from notify_interval_ms to notify_interval_max_ms.
    """
    stretch *= max((load / LOAD_WANTED) ** (1.0 if load > FULL else SOFTLY), 0.75)
    return min(max(stretch, 1.0), max(1.0, settings.notify_interval_max_ms / settings.notify_interval_ms))


def interval_s(wanted_s: float, stretch: float, settings: Delivery) -> float:
    """The time (s) from one round to the next; never above notify_interval_max_ms, unless that is what is wanted."""
    return max(wanted_s, min(wanted_s * stretch, settings.notify_interval_max_ms / 1000))
