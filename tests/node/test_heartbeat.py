"""A node that was silent for as long as the dead are learns it, whatever became of the answer to its beat."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from pushpull import __version__
from pushpull.node import heartbeat
from pushpull.node.heartbeat import Heartbeat
from pushpull.store.values import NodeRecord
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, FakePeer, turns


class Table:
    """The table of nodes; a beat takes `slow_s`, and is answered with `alive`."""

    def __init__(self, clock: Clock) -> None:
        self.known = frozenset({"here"})
        self.alive_before = True
        self.slow_s = 0.0
        self.said: Mapping[str, object] = {}
        self.others: list[NodeRecord] = []
        self._clock = clock

    async def beat(self, node: str, info: Mapping[str, object]) -> bool:
        self.said = info
        self._clock.now += self.slow_s
        return self.alive_before

    async def alive(self) -> list[NodeRecord]:
        return self.others


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    clock = Clock()
    monkeypatch.setattr(heartbeat, "time", clock)
    return Table(clock)


def heart_of(bench: Bench, table: Table) -> tuple[Heartbeat, FakePeer]:
    """The heart of a node with one session, which was kicked while nobody here could hear it."""
    fields: dict[str, Any] = {**vars(bench.parts), "node_id": "here", "draining": False}
    parts: Any = SimpleNamespace(**fields)
    parts.store = SimpleNamespace(**{**vars(bench.parts.store), "nodes": table})
    peer = bench.peer("a")
    bench.presence.fates[peer.session.id] = {"kicked": True}
    return Heartbeat(parts, lag_s=lambda: 0.0), peer


async def looked(peer: FakePeer) -> bool:
    await turns()
    return peer.connection.closed is not None


async def test_while_it_beats_in_time_no_session_is_looked_up(bench: Bench, table: Table) -> None:
    heart, peer = heart_of(bench, table)
    for _ in range(5):
        table._clock.now += 2.0
        await heart.beat()

    assert not await looked(peer)


async def test_one_that_was_taken_for_dead_looks_its_sessions_up(bench: Bench, table: Table) -> None:
    heart, peer = heart_of(bench, table)
    table.alive_before = False
    await heart.beat()

    assert await looked(peer)


async def test_a_long_silence_is_noticed_though_redis_says_that_all_is_well(bench: Bench, table: Table) -> None:
    """The first beat after it arrived, its answer was lost, and the second came right after the first."""
    heart, peer = heart_of(bench, table)
    await heart.beat()
    table._clock.now += 4.0
    table.slow_s = 3.0
    await heart.beat()

    assert await looked(peer)


async def test_a_beat_says_whether_devices_here_asked_for_receipts_and_hears_whether_others_did(
    bench: Bench, table: Table
) -> None:
    heart, _ = heart_of(bench, table)
    await heart.beat()
    assert table.said["receipts"] is False
    assert not bench.receipts.asked(ROOM, ["bob"])

    bench.receipts.opened(bench.peer("a", features="receipts").session)
    table.others = [NodeRecord("here", 0, {"receipts": True}), NodeRecord("there", 0, {"receipts": True})]
    await heart.beat()

    assert table.said["receipts"] is True
    assert bench.receipts.asked(ROOM, ["bob"])
    table.others = table.others[:1]
    await heart.beat()
    assert not bench.receipts.asked(ROOM, ["bob"])


async def test_a_node_says_which_release_it_is(bench: Bench, table: Table) -> None:
    heart, _ = heart_of(bench, table)

    await heart.beat()

    assert table.said["version"] == __version__
