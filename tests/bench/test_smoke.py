"""Every workload runs, at a size that says nothing about speed, and what it counts adds up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pushpull.bench import plots
from pushpull.bench.report import as_text
from pushpull.bench.run import Report, run
from pushpull.bench.scale import TINY
from pushpull.bench.workloads import WORKLOADS

TARGETS = {
    "fan-out": 2,
    "hot group": 10,
    "mixed viewers": 4,
    "slow readers": 8,
    "compression": 2,
    "small groups": 2,
    "send": 4,
    "batch send": 1,
    "reconnect storm": 3,
    "pull": 3,
    "memory": 4,
    "write amplification": 2,
    "offline": 4,
}
"""How many measured targets each states."""


@pytest.mark.parametrize("name", WORKLOADS)
async def test_a_workload_runs_and_its_counts_add_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "DPI", 20)
    report = await run(TINY, [name], runs=1)

    (result,) = report.results
    assert result.wrong == []
    judged = [figure for figure in result.figures if figure.ok is not None]
    assert len(judged) == TARGETS[name]
    assert all(figure.value is not None and figure.value >= 0 for figure in judged)
    assert len({figure.name for figure in result.figures}) == len(result.figures), "a name stands for two figures"
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert "\n" + name in as_text(report)
    assert tmp_path / "targets.png" in plots.draw(report, tmp_path)


async def test_several_runs_are_told_as_they_go_and_drawn(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    report = await run(TINY, ["batch send"], runs=2, watch=lambda step, done, of: told.append((done, of)))

    assert told[-1] == (2, 2)
    assert len(report.results[0].runs) == 2
    drawn = plots.draw(report, tmp_path / "bench")
    assert [path.name for path in drawn] == ["targets.png", "cpu.png", "latency.png"]
    assert all(path.stat().st_size > 1_000 for path in drawn)
