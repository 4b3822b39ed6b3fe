"""`pushpull tune`: a sweep over a real service, and what the command prints, writes and returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from pushpull.cli import main
from pushpull.commands import tune
from pushpull.config import load
from pushpull.settings import Delivery
from pushpull.tune.advice import Wishes
from pushpull.tune.run import Report
from pushpull.tune.sweep import FULL, QUICK, TINY, Scale


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What a sweep too small to say anything about speed measured."""
    file = tmp_path_factory.mktemp("swept") / "made" / "tune.json"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tune, "QUICK", TINY)
        done = CliRunner().invoke(main, ["tune", "--quick", "--json", str(file)])
    assert done.exit_code == 0, done.output
    return msgspec.json.decode(file.read_bytes(), type=Report)


class Answers:
    """Stands in for the run, and keeps what it was asked for."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.asked: tuple[Scale, Delivery, Wishes, int] | None = None

    async def __call__(self, scale: Scale, settings: Delivery, wishes: Wishes, *, runs: int, watch: Any) -> Report:
        self.asked = (scale, settings, wishes, runs)
        watch("a step", 0, 1)
        return self.report


@pytest.fixture
def answers(swept: Report, monkeypatch: pytest.MonkeyPatch) -> Answers:
    made = Answers(swept)
    monkeypatch.setattr(tune, "run", made)
    return made


def test_a_sweep_through_the_service_measures_every_way_and_loses_nothing(swept: Report) -> None:
    assert swept.wrong == []
    measured = {(point.spot.size, point.way) for point in swept.points}
    assert measured == {(20, way) for way in ("push", "notify", "policy", "batched")}
    pushed, notified = (next(p for p in swept.points if p.way == way) for way in ("push", "notify"))
    assert pushed.did.work.frames > 0
    assert pushed.did.work.notices == 0
    assert notified.did.work.notices > 0
    assert all(point.late.count > 0 for point in swept.points)
    assert swept.prices.frames + swept.prices.sends > 0
    assert len(swept.units) == 4


def test_it_prints_prices_the_sweep_and_the_settings_that_follow(answers: Answers) -> None:
    done = CliRunner().invoke(main, ["tune"])

    assert done.exit_code == 0
    for said in ("an ack in", "policy", "push_max_members", "cores then"):
        assert said in done.output
    assert answers.asked is not None
    assert answers.asked[0] is FULL


def test_what_the_operator_knows_is_taken_into_account(answers: Answers) -> None:
    words = ["tune", "--quick", "--runs", "2", "--talk", "36", "--viewers", "0.3", "--late-ms", "300"]

    assert CliRunner().invoke(main, words).exit_code == 0

    assert answers.asked is not None
    scale, _, wishes, runs = answers.asked
    assert (scale, runs) == (QUICK, 2)
    assert (wishes.talk.per_member_s, wishes.talk.habits.viewers, wishes.late_ms) == (0.01, 0.3, 300.0)


def test_it_writes_what_it_advises_and_draws(answers: Answers, tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"

    done = CliRunner().invoke(main, ["tune", "--write", str(file), "--plots", str(tmp_path / "plots")])

    assert done.exit_code == 0, done.output
    written = load(file)[0].delivery
    assert {row.key: getattr(written, row.key) for row in answers.report.advised} == {
        row.key: row.advised for row in answers.report.advised
    }
    assert [path.stat().st_size > 5_000 for path in sorted((tmp_path / "plots").iterdir())] == [True, True]


def test_where_something_was_lost_it_fails_and_writes_nothing(answers: Answers, tmp_path: Path) -> None:
    lost = msgspec.structs.replace(answers.report.points[0], wrong=["2 who look were still behind"])
    answers.report = msgspec.structs.replace(answers.report, points=[lost])

    done = CliRunner().invoke(main, ["tune", "--write", str(tmp_path / "pushpull.toml")])

    assert done.exit_code == 1
    assert "WRONG: 20 members, 20 msg/s, 50% look: push: 2 who look" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_share_above_one_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["tune", "--viewers", "1.5"]).exit_code == 2
