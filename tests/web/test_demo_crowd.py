"""The crowd of the demo: how much it says, when, and that it stops."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from pushpull.node.node import Node
from pushpull.settings import Settings
from pushpull.web.demo_cast import HOT
from pushpull.web.demo_crowd import LEASE_S, Crowd, due


def idle_node() -> Any:
    """A node that starts nothing: the coroutine is closed unrun."""
    background = SimpleNamespace(spawn=lambda work, name: work.close())
    return cast("Node", SimpleNamespace(settings=Settings(), parts=SimpleNamespace(background=background)))


def test_a_rate_is_kept_however_often_one_looks() -> None:
    ticks = [1_000 + place / 20 for place in range(41)]
    said = [len(due(after, upto, rate=50, crowd=9_995)) for after, upto in pairwise(ticks)]

    assert sum(said) == 100
    assert max(said) <= 3


def test_what_is_said_follows_from_the_time_alone() -> None:
    one = due(1_000.0, 1_000.2, rate=20, crowd=500)
    other = due(1_000.0, 1_000.2, rate=20, crowd=500)

    assert [line.cmid for line in one] == ["20-20001", "20-20002", "20-20003", "20-20004"]
    assert one == other
    assert {line.cid for line in one} == {HOT}
    assert all(not line.own and "text" in msgspec.json.decode(line.body) for line in one)


def test_a_crowd_that_was_held_up_does_not_make_up_for_all_of_it() -> None:
    assert len(due(1_000.0, 1_060.0, rate=100, crowd=500)) == 50


def test_where_nobody_is_nobody_speaks() -> None:
    assert due(1_000.0, 1_001.0, rate=100, crowd=0) == []


def test_a_crowd_that_nobody_watches_falls_silent() -> None:
    crowd = Crowd()

    assert crowd.watch(idle_node(), 100.0, rate=50.0) == 50.0
    assert crowd.rate(100.0 + LEASE_S - 0.1) == 50.0
    assert crowd.rate(100.0 + LEASE_S) == 0.0


def test_who_watches_keeps_it_at_its_rate_and_does_not_wake_a_silent_one() -> None:
    crowd = Crowd()
    crowd.watch(idle_node(), 100.0, rate=50.0)

    assert crowd.watch(idle_node(), 110.0) == 50.0
    assert crowd.rate(110.0 + LEASE_S - 0.1) == 50.0
    assert crowd.watch(idle_node(), 200.0) == 0.0
