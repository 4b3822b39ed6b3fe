"""What the ways of delivery, and the policy that chooses among them, make of a conversation: work and its cost.

The policy is not imitated: `delivery.policy.decide` is asked what each kind of session gets, and its work is added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pushpull.delivery.costs import Habits, Prices, Work, notify, notify_away, notify_looker, push, shared
from pushpull.delivery.policy import Decision, Focus, Situation, Way, decide
from pushpull.model import ConversationSettings
from pushpull.settings import Delivery

OWN: Final = ConversationSettings()


@dataclass(frozen=True, slots=True)
class Crowd:
    """A conversation with `members` connected, `rate` messages a second in it, and how its devices behave."""

    members: int
    rate: float
    habits: Habits


Rule = Callable[[Crowd, Delivery], Work]
"""What one member is served in a second of a conversation, under the settings."""


def always_push(crowd: Crowd, settings: Delivery) -> Work:
    """Each message pushed to everybody."""
    return push(crowd.rate, crowd.habits)


def always_notify(crowd: Crowd, settings: Delivery) -> Work:
    """Everybody notified, and those who look come."""
    return notify(crowd.rate, crowd.habits, interval_s=settings.notify_interval_ms / 1000)


def by_size(crowd: Crowd, settings: Delivery) -> Work:
    """push_max_members alone, for everybody alike."""
    rule = always_push if crowd.members <= settings.push_max_members else always_notify
    return rule(crowd, settings)


def by_policy(crowd: Crowd, settings: Delivery) -> Work:
    """The service's policy, where every device says what is on its screen."""
    looking = _served(crowd, settings, Focus.HERE).times(crowd.habits.viewers)
    away = _served(crowd, settings, Focus.ELSEWHERE).times(1 - crowd.habits.viewers)
    return looking + away


def cost_per_s(crowds: Sequence[Crowd], rule: Rule, prices: Prices, settings: Delivery) -> float:
    """Processor seconds a second for all these conversations, each on one node."""
    return sum(prices.of(_whole(crowd, rule(crowd, settings))) * crowd.members for crowd in crowds)


def _whole(crowd: Crowd, served: Work) -> Work:
    return served + shared(served, rate=crowd.rate, members=crowd.members, habits=crowd.habits)


def _served(crowd: Crowd, settings: Delivery, focus: Focus) -> Work:
    """The second of one who has the conversation on screen, or another."""
    situation = Situation(members=crowd.members, own=OWN, rate=crowd.rate, focus=focus)
    return _WORK[(decision := decide(situation, before=None, settings=settings)).way](crowd, settings, focus, decision)


def _notified(crowd: Crowd, settings: Delivery, focus: Focus, decision: Decision) -> Work:
    served = notify_looker if focus is Focus.HERE else notify_away
    return served(crowd.rate, crowd.habits, interval_s=settings.notify_interval_ms / 1000)


_WORK: Final[dict[Way, Callable[[Crowd, Delivery, Focus, Decision], Work]]] = {
    Way.PUSHED: lambda crowd, settings, focus, decision: push(crowd.rate, crowd.habits),
    Way.GATHERED: lambda crowd, settings, focus, decision: push(crowd.rate, crowd.habits, window_s=decision.window_s),
    Way.NOTIFIED: _notified,
    Way.TOLD: lambda crowd, settings, focus, decision: notify_away(
        crowd.rate, crowd.habits, interval_s=settings.notify_away_ms / 1000
    ),
}
