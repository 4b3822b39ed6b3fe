"""`scripts/simulate`: the population adds up, and so do the costs."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pushpull.delivery.costs import Prices
from pushpull.settings import Delivery
from scripts.simulating import __main__ as simulate
from scripts.simulating.population import Assumptions, Kind, conversations, kinds, size_classes
from scripts.simulating.reckoning import RULES, Rates, Total, add, nodes_with

SMALL = replace(Assumptions(), users=10_000, nodes=4, size_max=1_000)
CPU = Prices(frames=10e-6, acks=10e-6, notices=10e-6, pulls=10e-6, sends=100e-6, flushes=100e-6)
RATES = Rates(cpu=CPU, commands=Prices(sends=10.0), sent_bytes=Prices(frames=100.0))


def test_classes_hold_every_size_once_and_all_conversations() -> None:
    classes = size_classes(SMALL)

    assert (classes[0].first, classes[-1].last) == (2, 1_000)
    assert all(after.first == each.last + 1 for each, after in itertools.pairwise(classes))
    assert sum(each.share for each in classes) == pytest.approx(1.0)
    assert all(each.first <= each.size <= each.last for each in classes)


def test_everybody_is_in_as_many_conversations_as_is_assumed() -> None:
    classes = size_classes(SMALL)
    memberships = conversations(SMALL, classes) * sum(each.share * each.size for each in classes)

    assert memberships == pytest.approx(10_000 * SMALL.conversations_per_user)


def test_members_write_as_much_as_is_assumed_on_average() -> None:
    mild = replace(SMALL, liveliness_sigma=0.5)
    made = [kind for _, of in kinds(mild) for kind in of]

    written = sum(kind.rate * kind.count for kind in made) / sum(kind.connected * kind.count for kind in made)

    assert written == pytest.approx(mild.talk_per_hour / 3600, rel=0.05)


def test_the_same_seed_makes_the_same_population() -> None:
    def rates(seed: int) -> list[float]:
        return [kind.rate for _, of in kinds(replace(SMALL, seed=seed), draws=3) for kind in of]

    assert rates(1) == rates(1)
    assert rates(1) != rates(2)


def test_a_large_conversation_is_on_all_nodes_and_a_talk_on_one_or_two() -> None:
    assert nodes_with(100_000, 100) == pytest.approx(100)
    assert nodes_with(2, 100) == pytest.approx(1.99)
    assert nodes_with(0.6, 100) == 1.0


def test_a_message_costs_each_node_that_hears_it() -> None:
    of = [Kind(size=1_000, connected=500.0, rate=2.0, viewers=0.1, count=3.0)]

    def cores(heard_us: float) -> float:
        assumed = replace(SMALL, heard_us=heard_us)
        return add(Total(), RULES["always push"], of, RATES, assumed, Delivery())

    assert cores(20.0) - cores(0.0) == pytest.approx(3 * 2.0 * 3 * 20e-6)  # conversations, messages, nodes but one


def test_each_rule_is_reckoned_and_the_threshold_lies_between_always_push_and_always_notify() -> None:
    totals, there = simulate.reckoned(SMALL, RATES)

    assert list(totals) == ["always push", "always notify", "size threshold", "policy"]
    push, notify, threshold, policy = (total.cores for total in totals.values())
    assert notify < threshold < push
    assert policy < push
    assert sum(totals["policy"].by_size.values()) == pytest.approx(policy)
    commands = there["messages a second"] * 10
    assert all(total.redis_commands == pytest.approx(commands) for total in totals.values())


def test_it_prints_what_it_assumes_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = {"frames": 1e-5, "sends": 1e-4}
    file = tmp_path / "tune.json"
    file.write_text(json.dumps({"prices": prices, "commands": {"sends": 10}, "sent_bytes": prices}))
    plot = tmp_path / "plot.png"
    monkeypatch.setattr(
        sys, "argv", ["simulate", "--json", "--prices", str(file), "--size-max", "500", "--plot", str(plot)]
    )

    assert simulate.main() == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["assumptions"]["size_max"] == 500
    assert printed["prices"]["cpu_s"]["frames"] == 1e-5
    assert printed["prices"]["cpu_s"]["sends"] == pytest.approx(printed["assumptions"]["stored_us"] / 1e6)
    assert set(printed["totals"]) == set(RULES)
    assert plot.stat().st_size > 5_000


def test_without_prices_it_says_what_it_wants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--prices", str(tmp_path / "none.json")])

    assert simulate.main() == 1
    assert "expected what `pushpull tune --json` writes" in capsys.readouterr().err
