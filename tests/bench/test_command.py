"""`pushpull bench`: what it prints, writes and returns."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from pushpull.bench.figures import Figure, Outcome
from pushpull.bench.report import as_text, number
from pushpull.bench.run import Measured, Report, machine
from pushpull.bench.scale import FULL, QUICK, Scale
from pushpull.bench.workloads import WORKLOADS
from pushpull.cli import main
from pushpull.commands import bench
from pushpull.redis_server import ask, gone, info_field


def report(*figures: Figure, wrong: Sequence[str] = (), scale: Scale = QUICK) -> Report:
    outcome = Outcome(figures=list(figures), wrong=list(wrong))
    measured = Measured(
        workload="send", about="sends", seconds=3.0, figures=list(figures), wrong=list(wrong), notes=[], runs=[outcome]
    )
    return Report(machine=machine(), scale=scale, load_processes=1, seconds=3.0, results=[measured])


RATE = Figure(name="sends", value=12_345.0, unit="/s", at_least=10_000)
COST = Figure(name="cost", value=9.0, unit="µs", at_most=1.3, floor=6.0)
LATER = Figure(name="batched pushes", value=None, unit="", at_most=0.6, note="not built yet")
EXTRA = Figure(name="frames", value=3.0, unit="")


class Asked:
    """Stands in for the run, and keeps what it was asked for."""

    def __init__(self, answer: Report) -> None:
        self.answer = answer
        self.scale = QUICK
        self.names: list[str] = []
        self.runs = 0

    async def __call__(self, scale: Scale, names: list[str], *, runs: int, watch: Any) -> Report:
        self.scale, self.names, self.runs = scale, names, runs
        watch("a step", 0, 1)
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked(report(RATE, COST, LATER, EXTRA))
    monkeypatch.setattr(bench, "run", asked)
    return asked


def test_a_row_has_target_measured_ratio_and_verdict() -> None:
    lines = as_text(report(RATE, COST, LATER, EXTRA)).splitlines()

    assert [line.split() for line in lines[4:7]] == [
        ["sends", "≥", "10,000", "/s", "12,345", "/s", "1.23", "pass"],
        ["cost", "≤", "1.3", "×", "6.00", "µs", "9.00", "µs", "1.50", "MISS"],
        ["batched", "pushes", "≤", "0.60", "-", "not", "built", "yet"],
    ]
    assert lines[-1] == "1 of 2 targets met; at smaller sizes than the targets are about: --full decides"


def test_a_full_run_decides() -> None:
    assert as_text(report(RATE, scale=FULL)).splitlines()[-1] == "1 of 1 targets met"


def test_figures_without_a_target_are_shown_on_request() -> None:
    assert "frames" not in as_text(report(RATE, EXTRA))
    assert "frames" in as_text(report(RATE, EXTRA), everything=True)


def test_counts_that_do_not_add_up_are_what_the_report_ends_with() -> None:
    text = as_text(report(RATE, wrong=["3 sends were confirmed, expected 4"]))

    assert "  WRONG: 3 sends were confirmed, expected 4" in text
    assert text.endswith("1 counts do not add up: these figures mean nothing")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (0.00432, "0.0043"), (0.5, "0.50"), (9.994, "9.99"), (47.25, "47.2"), (15_000, "15,000")],
)
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert number(value) == text


def test_quick_is_the_default_and_runs_everything_once(asked: Asked) -> None:
    done = CliRunner().invoke(main, ["bench"])

    assert done.exit_code == 0, done.output
    assert (asked.scale, asked.names, asked.runs) == (QUICK, list(WORKLOADS), 1)
    assert "1 of 2 targets met" in done.output


def test_full_is_the_median_of_three_unless_said_otherwise(asked: Asked) -> None:
    CliRunner().invoke(main, ["bench", "--full"])
    assert (asked.scale, asked.runs) == (FULL, 3)

    CliRunner().invoke(main, ["bench", "--full", "--runs", "2", "--only", "send", "--only", "pull", "--only", "send"])
    assert (asked.names, asked.runs) == (["send", "pull"], 2)


def test_the_json_is_the_whole_report(asked: Asked, tmp_path: Path) -> None:
    CliRunner().invoke(main, ["bench", "--json", str(tmp_path / "out" / "bench.json")])

    assert msgspec.json.decode((tmp_path / "out" / "bench.json").read_bytes(), type=Report) == asked.answer


def test_a_target_that_is_missed_is_a_result_and_a_count_that_is_wrong_a_failure(asked: Asked) -> None:
    assert CliRunner().invoke(main, ["bench"]).exit_code == 0

    asked.answer = report(RATE, wrong=["3 sends were confirmed, expected 4"])
    assert CliRunner().invoke(main, ["bench"]).exit_code == 1


@pytest.fixture
def place() -> Iterator[Path]:
    """Not below pytest's own: with the socket's name that is longer than a socket's path may be."""
    with tempfile.TemporaryDirectory(prefix="pp-") as directory:
        yield Path(directory)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_whoever_ends_it_ends_all_that_it_started(how: signal.Signals, place: Path) -> None:
    """With a directory for temporary files of its own, so that what is left behind is seen."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from pushpull.cli import main; main()", "bench", "--only", "send"],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        redis = _wait_for_redis(place)
        process.send_signal(how)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()

    assert process.returncode == 1
    assert told.strip() == b"Aborted!"
    assert gone(redis)
    assert list(place.iterdir()) == []


def _wait_for_redis(place: Path) -> int:
    """The pid of the Redis that a benchmark started below `place`."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        for socket_path in place.glob("*/redis/redis.sock"):
            with contextlib.suppress(OSError):
                return int(info_field(ask(socket_path, "INFO", "server"), "process_id") or 0)
        time.sleep(0.05)
    raise AssertionError("no redis was started")


def test_an_unknown_workload_is_wrong_usage(asked: Asked) -> None:
    done = CliRunner().invoke(main, ["bench", "--only", "everything"])

    assert done.exit_code == 2
    assert "'everything' is not one of 'fan-out'" in done.output


def test_plots_without_matplotlib_are_refused_before_anything_is_measured(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["bench", "--plots", str(tmp_path)])

    assert done.exit_code == 1
    assert done.output == "error: plots need matplotlib (pip install 'pushpull[bench]')\n"
    assert asked.names == []
