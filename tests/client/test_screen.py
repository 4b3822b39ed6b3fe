"""What is on the screen: a device comes for that, and lets the rest lie until it is looked at."""

from __future__ import annotations

from typing import Any

from pushpull.client import frames
from pushpull.client.core import Core
from pushpull.client.events import Noticed
from pushpull.client.screen import Screen
from tests.client.test_core import WELCOME, kinds, listed, take_all
from tests.client.words import page, row

KNOWS = frames.Welcome(session="s1", user="bob", time=1_000_000, features=["focus"])


def device(*rows: frames.Row, knows: bool = True, positions: dict[str, str] | None = None) -> Core:
    made = listed(positions=positions)
    made.opened(KNOWS if knows else WELCOME, now=0.0)
    made.show(None, active=True)
    made.outgoing(now=0.0)
    made.receive(frames.Sync(conversations=rows), now=0.0)
    return made


def noticed(made: Core, head: int, cid: str = "c") -> None:
    made.receive(frames.Notice(cid=cid, head=head, count=head), now=1.0)


def sent(made: Core, *, now: float = 1.0) -> list[dict[str, Any]]:
    return made.outgoing(now=now)


def test_hello_says_nothing_until_the_owner_does() -> None:
    screen = Screen()
    assert screen.hello() == {}

    screen.show("c", active=False)

    assert screen.hello() == {"focus": "c", "active": False}
    assert screen.hides("c")


def test_a_notice_of_what_is_not_on_the_screen_is_told_and_left_there() -> None:
    made = device(row("0-0", mode="notify"))

    noticed(made, 5)

    assert sent(made) == []
    assert sent(made, now=60.0) == []
    assert take_all(made) == [Noticed("c", 5, 5)]
    assert made.held.conversations["c"].unread == 5


def test_what_is_listed_far_behind_is_left_there_too() -> None:
    made = device(row("3-1", head=900, mode="notify"))

    assert sent(made, now=60.0) == []


def test_what_is_on_the_screen_is_pulled() -> None:
    made = device(row("0-0", mode="notify"))
    made.show("c", active=True)
    noticed(made, 5)

    assert kinds(sent(made)) == ["focus", "pull"]


def test_what_comes_onto_the_screen_is_given_by_the_service_and_pulled_only_if_it_is_not() -> None:
    made = device(row("0-0", mode="notify"))
    noticed(made, 5)
    sent(made)

    made.show("c", active=True)

    assert sent(made) == [{"type": "focus", "cid": "c", "active": True}]
    assert kinds(sent(made, now=7.0)) == ["pull"]  # the same net that lies under every push


def test_what_the_service_gives_is_not_pulled_as_well() -> None:
    made = device(row("0-0", mode="notify"))
    noticed(made, 5)
    made.show("c", active=True)
    sent(made)
    made.receive(page(0, 5), now=1.1)

    assert sent(made, now=60.0) == []
    assert made.held.positions["c"].pos == "5-1"


def test_a_service_of_the_release_before_is_not_told_and_what_is_looked_at_is_pulled() -> None:
    made = device(row("0-0", mode="notify"), knows=False)
    noticed(made, 5)

    made.show("c", active=True)

    assert kinds(sent(made)) == ["pull"]


def test_what_is_pushed_though_it_is_not_on_the_screen_is_taken() -> None:
    made = device(row("0-0", mode="push"))

    made.receive(page(0, 3), now=1.0)

    assert made.held.positions["c"].pos == "3-1"


def test_one_that_rested_and_is_pushed_again_is_no_longer_resting() -> None:
    made = device(row("0-0", mode="notify"))
    noticed(made, 3)
    made.receive(page(0, 3), now=1.0)

    assert not made.held.positions["c"].rests


def test_only_the_last_of_several_looks_is_said_and_hello_says_it_the_next_time() -> None:
    made = device(row("0-0"))
    made.show("a", active=True)
    made.show("c", active=True)
    assert sent(made) == [{"type": "focus", "cid": "c", "active": True}]

    made.closed(now=2.0)
    made.show("d", active=True)

    assert made.screen.hello() == {"focus": "d", "active": True}
    made.opened(KNOWS, now=3.0)
    assert sent(made) == []
