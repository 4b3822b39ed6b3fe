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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pushpull.model import Mode
from pushpull.settings import Delivery

LOAD_WANTED: Final = 0.5
"""The share of the loop's time that notices and what they set off may fill: the rest is for sends and pushes."""


@dataclass(frozen=True, slots=True)
class Decision:
    mode: Mode
    why: str


def decide(*, members: int, override: str, before: Mode | None, settings: Delivery) -> Decision:
    """The mode of a conversation of `members` members; `override` is its own setting, `before` its mode so far."""
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


def next_interval_s(interval_s: float, *, load: float, settings: Delivery) -> float:
    """How far apart the notices of a large group go, by how busy the node was at `interval_s`. Call once a second.

    `load`: the share of the last second, 0 to 1, that the loop's thread computed. Where notices are what fills it, it
    falls as the interval grows, so their product is kept; by a quarter a second at the most, as one second says
    little. Within notify_interval_ms and notify_interval_max_ms.
    """
    interval_s *= min(max(load / LOAD_WANTED, 0.75), 1.25)
    return min(max(interval_s, settings.notify_interval_ms / 1000), settings.notify_interval_max_ms / 1000)
