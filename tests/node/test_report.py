"""What a node says of itself, and what is made of it where several nodes do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.delivery.policy import Focus
from pushpull.model import Cid
from pushpull.node import report as reports
from pushpull.node import reporter as reporter_module
from pushpull.node.metrics import APPEND_BUCKETS_S
from pushpull.node.overview import figures, ranked
from pushpull.node.report import MOST_BUSY, Report, quantile
from pushpull.node.reporter import Reporter
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock
from tests.node.reports import busy, report


class Kept:
    """Where reports are said."""

    def __init__(self) -> None:
        self.said: list[Report] = []

    async def say(self, node: str, text: bytes) -> None:
        assert node == "here"
        found = reports.decode(text)
        assert found is not None
        self.said.append(found)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def said_by(bench: Bench, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Reporter:
    monkeypatch.setattr(reporter_module, "time", Clock())
    parts: Any = SimpleNamespace(**{**vars(bench.parts), "node_id": "here"})
    parts.store = SimpleNamespace(**{**vars(bench.parts.store), "reports": kept})
    parts.appender = SimpleNamespace(waiting=7)
    load: Any = SimpleNamespace(load=0.25, lag_s=0.004)
    return Reporter(parts, load)


async def test_a_report_tells_what_was_counted_since_the_last(bench: Bench, said_by: Reporter, kept: Kept) -> None:
    clock: Any = reporter_module.time
    bench.metrics.redeliveries.inc(5)
    clock.now += 2.0
    await said_by.say()
    bench.metrics.redeliveries.inc(3)
    bench.metrics.append_seconds.observe(0.02)
    clock.now += 4.0
    await said_by.say()

    first, second = kept.said
    assert (first.over_s, first.lately["redeliveries"], first.since_start["redeliveries"]) == (2.0, 5, 5)
    assert (second.over_s, second.lately["redeliveries"], second.since_start["redeliveries"]) == (4.0, 3, 8)
    assert (sum(first.append_counts), sum(second.append_counts)) == (0, 1)
    assert (second.load, second.lag_ms, second.waiting_sends) == (0.25, 4.0, 7)


async def test_a_report_names_conversations_with_messages_lately_and_how_their_devices_are_served(
    bench: Bench, said_by: Reporter, kept: Kept
) -> None:
    bench.log.meta[ROOM] = {"members": 10_000}
    bench.log.meta[Cid("quiet")] = {}
    bench.log.entries[Cid("quiet")] = []
    await bench.open(Cid("quiet"))
    feed = await bench.open()
    for focus in (Focus.HERE, Focus.ELSEWHERE, Focus.ELSEWHERE):
        place = bench.attach(feed)
        feed.discard(place)
        place.focus = focus
        bench.hub.attach(feed, place)
    bench.say(feed)
    await bench.hub.ways.look(0.0, over_s=1.0)

    await said_by.say()

    (row,) = kept.said[0].busiest
    assert (row.cid, row.members, row.mode, row.setting) == (ROOM, 10_000, "notify", "auto")
    assert (row.gathered, row.told, row.pushed, row.notified) == (1, 2, 0, 0)
    assert row.rate > 0
    assert row.why.startswith("10000 members")


def test_a_report_of_another_release_is_left_out() -> None:
    assert reports.decode(b'{"sessions":3}') is None
    assert reports.decode(b"no json") is None
    assert reports.decode(None) is None
    assert reports.decode(reports.encode(report(sessions=3))) == report(sessions=3)


def test_a_report_of_as_many_conversations_as_it_may_name_is_small_enough_to_be_said_each_beat() -> None:
    rows = tuple(busy("c" * 128, why="w" * 120) for _ in range(MOST_BUSY))

    assert len(reports.encode(report(busiest=rows))) < 32 * 1024


def test_of_several_nodes_the_figures_are_added_and_of_their_strain_the_worst_is_told() -> None:
    one = report(sessions=3, load=0.2, lag_ms=9.0, lately={"acks": 10}, since_start={"acks": 100})
    other = report(sessions=4, load=0.8, lag_ms=1.0, lately={"acks": 3}, since_start={"acks": 7}, over_s=1.0)

    both = figures([one, other])

    assert (both.sessions, both.load, both.lag_ms) == (7, 0.8, 9.0)
    assert (both.per_s, both.since_start) == ({"acks": 8.0}, {"acks": 107})


def test_of_no_node_there_are_no_figures() -> None:
    none = figures([])

    assert (none.sessions, none.load, none.append.count, none.append.p99_ms) == (0, 0.0, 0, None)


def test_latencies_of_several_nodes_are_those_of_all_their_times() -> None:
    fast = [0] * (len(APPEND_BUCKETS_S) + 1)
    slow = list(fast)
    fast[1], slow[6] = 99, 1  # up to 1 ms, up to 50 ms

    together = figures([report(append_counts=tuple(fast)), report(append_counts=tuple(slow))]).append

    assert together.count == 100
    assert together.p50_ms is not None
    assert 0.5 < together.p50_ms < 1.0
    assert together.p99_ms == 1.0


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([4, 0, 0], 0.5, 0.5),
        ([4, 4, 0], 0.5, 1.0),
        ([4, 4, 0], 0.75, 2.0),
        ([0, 1, 0], 1.0, 3.0),
        ([0, 0, 5], 0.5, 3.0),
        ([10, 0, 1], 0.99, 3.0),
    ],
)
def test_a_quantile_is_read_off_the_buckets(counts: list[int], share: float, expected: float | None) -> None:
    assert quantile((1.0, 3.0), counts, share) == expected


def test_a_conversation_that_several_nodes_serve_is_one_with_the_devices_of_all() -> None:
    here = busy("team", rate=2.0, mode="push", why="calm here", pushed=1)
    there = busy("team", rate=1.9, mode="notify", why="full there", notified=5, told=2, busy=True)
    nobody = busy("team", rate=2.1)

    (found,) = ranked([report(busiest=(row,)) for row in (here, there, nobody)])

    assert (found.rate, found.nodes, found.busy) == (2.1, 2, True)
    assert (found.mode, found.why) == ("notify", "full there")
    assert (found.pushed, found.notified, found.told) == (1, 5, 2)


def test_conversations_are_ranked_by_rate() -> None:
    rows = ranked([report(busiest=(busy("a", rate=1.0), busy("b", rate=3.0))), report(busiest=(busy("c", rate=2.0),))])

    assert [row.cid for row in rows] == ["b", "c", "a"]
