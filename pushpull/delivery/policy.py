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

BUSY: Final = 0.5
CALM: Final = 0.35
"""Shares of the loop's time. Above the one notices come less often, below the other more often again."""


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

    `load`: the share of the last second, 0 to 1, that the loop's thread computed. Up by a quarter, down by a tenth: a
    node in trouble backs off fast and comes back with care. Within notify_interval_ms and notify_interval_max_ms.
    """
    if load > BUSY:
        interval_s *= 1.25
    elif load < CALM:
        interval_s *= 0.9
    return min(max(interval_s, settings.notify_interval_ms / 1000), settings.notify_interval_max_ms / 1000)
