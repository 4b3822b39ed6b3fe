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

from pushpull.model import Mode
from pushpull.settings import Delivery


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
