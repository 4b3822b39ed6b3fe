"""The table of a run, and what soak keeps of a round that was wrong."""

from __future__ import annotations

import json
from pathlib import Path

from pushpull.model import Cid, LogId, Uid
from tests.faults import history
from tests.faults.checker import Stored
from tests.faults.history import Tried
from tests.faults.load import Load
from tests.faults.results import Result, table, write
from tests.faults.soak import Soak

GOOD = Result(fault="a", sends=9, answered=8, deliveries=1000, violations=[], heal_s=0.5, heal_within_s=5.0)
SLOW = Result(fault="a", sends=1, answered=1, deliveries=234, violations=["lost in c"], heal_s=2.25, heal_within_s=5.0)
PLAIN = Result(fault="b", sends=1, answered=1, deliveries=2, violations=[])


def test_runs_of_one_fault_are_one_row_of_sums_and_the_longest_time_to_heal() -> None:
    headings, _, first, second = (line.split() for line in table([GOOD, PLAIN, SLOW]))

    assert headings[:2] == ["fault", "runs"]
    assert first == ["a", "2", "9", "1,234", "1", "2.2", "s", "5.0", "s"]
    assert second == ["b", "1", "1", "2", "0"]


def test_the_rows_are_written_as_json(tmp_path: Path) -> None:
    write(tmp_path / "rows.json", [GOOD])

    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert (row["fault"], row["heal_s"], row["violations"]) == ("a", 0.5, [])


async def test_soak_keeps_the_history_and_the_logs_of_a_round_that_was_wrong(tmp_path: Path) -> None:
    load = Load(["http://127.0.0.1:1"], users=3, conversations=1)
    load.diary.tried(Cid("c0"), Uid("u0"), "m")
    load.last_logs = {Cid("c0"): [Stored(LogId("1-7"), Uid("u0"), "m")]}
    soak = Soak(seed=1, minutes=1.0, watch=lambda step, share: None, directory=tmp_path)

    soak.keep(load, 4, ["redis killed"], ["lost in c0"])
    await load.__aexit__()

    kept = tmp_path / "round-4"
    assert history.read(kept / "history.jsonl") == [Tried(cid=Cid("c0"), sender=Uid("u0"), cmid="m")]
    assert json.loads((kept / "logs.json").read_text())["c0"][0]["id"] == "1-7"
    assert (kept / "violations").read_text().split("\n")[:3] == ["redis killed", "", "lost in c0"]
    assert [result.violations for result in soak.results] == [["lost in c0"]]
