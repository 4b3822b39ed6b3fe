"""Benches to test a node's delivery on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pushpull.node import backlog, cursor_writer, fan_out, hub, live, log_reader, redeliveries, rounds, ways
from tests.node.fakes import Bench, Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of fan-out, redelivery and notices, standing still at 1,000 s."""
    clock = Clock()
    for module in (hub, backlog, fan_out, redeliveries, rounds, ways):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(rounds, "asyncio", clock)
    return clock


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (log_reader, live, cursor_writer):
        monkeypatch.setattr(module, "RETRY_S", 0)


@pytest.fixture
async def make_bench(clock: Clock) -> AsyncIterator[Callable[..., Bench]]:
    """`make_bench(limits={…}, max_ack_pending=4, …)`: a bench with these delivery settings."""
    benches: list[Bench] = []

    def make(*, limits: dict[str, Any] | None = None, **delivery: Any) -> Bench:
        benches.append(Bench(delivery=delivery, limits=limits))
        return benches[-1]

    yield make
    for bench in benches:
        await bench.stop()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
