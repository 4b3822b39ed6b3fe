"""What is kept of a decision between two looks, and what is said of it."""

from __future__ import annotations

from pushpull.delivery.policy import Focus, Way
from pushpull.delivery.ruling import Ruling
from pushpull.model import ConversationSettings
from pushpull.settings import Delivery


def test_a_decision_is_explained_by_the_rate_of_now_and_not_of_when_it_was_made() -> None:
    ruling = Ruling(members=10_000, own=ConversationSettings(), seq=0, settings=Delivery())
    ruling.look(0, load=0.0, now=100.0)
    ruling.look(50, load=0.0, now=101.0)
    early = ruling.of(Focus.HERE)

    for second in range(2, 62):
        ruling.look(50 * second, load=0.0, now=100.0 + second)

    now = ruling.explained(Focus.HERE)
    assert early.way is now.way is Way.GATHERED
    assert "; 4.76 messages a second" in early.why
    assert "; 49.9 messages a second" in now.why
