"""How a conversation reaches its members: pushed, or notified and pulled.

A conversation's own settings decide first; else its size does, with hysteresis, so that a group which hovers around
the threshold does not flip with every join:

    members                                            before   →  mode
    ≤ push_max_members                                 (none)      push
    > push_max_members                                 (none)      notify
    ≤ push_max_members × (1 + hysteresis)              push        push
    > push_max_members × (1 + hysteresis)              push        notify
    ≥ push_max_members × (1 − hysteresis)              notify      notify
    < push_max_members × (1 − hysteresis)              notify      push

A push may have a window: messages are gathered that long and travel together, one frame for all who stand at the same
place. For many who look at a busy conversation that is cheaper than to notify them and let them pull. A conversation's
settings ask for it; without a word of theirs each message goes out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pushpull.model import ConversationSettings, Mode
from pushpull.settings import Delivery

LOAD_WANTED: Final = 0.5
"""The share of the loop's time that rounds and what they set off may fill: the rest is for sends and live pushes."""
FULL: Final = 0.9
"""A load above which there may be any amount of work waiting."""
SOFTLY: Final = 0.3


@dataclass(frozen=True, slots=True)
class Decision:
    """`window_s`: push only, how long messages are gathered before they go out together; 0: not at all."""

    mode: Mode
    why: str
    window_s: float = 0.0


def decide(*, members: int, own: ConversationSettings, before: Mode | None, settings: Delivery) -> Decision:
    """How a conversation of `members` members gets its messages; `own` are its settings, `before` its mode so far."""
    decision = _decide_mode(members=members, override=own.mode, before=before, settings=settings)
    if decision.mode is Mode.PUSH and own.push_window_ms:
        why = f"{decision.why}; they also say push_window_ms {own.push_window_ms}"
        return Decision(Mode.PUSH, why, own.push_window_ms / 1000)
    return decision


def _decide_mode(*, members: int, override: str, before: Mode | None, settings: Delivery) -> Decision:
    if override in (Mode.PUSH, Mode.NOTIFY):
        return Decision(Mode(override), f"the conversation's settings say {override}")
    limit = settings.push_max_members
    if before is None:
        mode = Mode.PUSH if members <= limit else Mode.NOTIFY
        return Decision(mode, f"{members} members, push_max_members is {limit}")
    edge = limit * (1 + settings.hysteresis) if before is Mode.PUSH else limit * (1 - settings.hysteresis)
    stays_push = members <= edge if before is Mode.PUSH else members < edge
    mode = Mode.PUSH if stays_push else Mode.NOTIFY
    return Decision(mode, f"{members} members, was {before}, push_max_members is {limit} ± {settings.hysteresis:.0%}")


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
