"""What is in force on a node: its own settings, and over them what was put into all nodes."""

from __future__ import annotations

import logging

import pytest

from pushpull.errors import Invalid, StoreUnavailable
from pushpull.node.policy import TRIES, Policy
from pushpull.settings import Delivery, Settings
from pushpull.store.policy import PolicyDocument
from tests.web.fakes import FakePolicyStore


class Bench:
    def __init__(self, **own: int) -> None:
        self.settings = Settings(delivery=Delivery(**own))
        self.store = FakePolicyStore()
        self.changes = 0
        self.policy = Policy(self.settings, self.store, changed=self._count)  # type: ignore[arg-type]

    def _count(self) -> None:
        self.changes += 1

    @property
    def limit(self) -> int:
        return self.settings.delivery.push_max_members


async def test_what_is_put_is_in_force_here_and_told_to_all() -> None:
    bench = Bench()

    await bench.policy.put({"push_max_members": 5})

    assert (bench.limit, bench.changes, bench.store.told) == (5, 1, 1)


async def test_the_same_again_is_told_again_but_changes_nothing() -> None:
    """So a call that failed on the way can be repeated."""
    bench = Bench()
    await bench.policy.put({"push_max_members": 5})

    await bench.policy.put({"push_max_members": 5})

    assert (bench.changes, bench.store.told) == (1, 2)


async def test_another_node_reads_it() -> None:
    bench, other = Bench(), Bench()
    await bench.policy.put({"push_max_members": 5})
    other.store.document = bench.store.document

    await other.policy.read()

    assert other.limit == 5


async def test_a_change_at_the_same_time_is_not_lost() -> None:
    bench = Bench()
    bench.store.others = 1

    await bench.policy.put({"push_max_members": 5})

    assert (bench.limit, bench.settings.delivery.max_deliver) == (5, 7)


async def test_a_change_that_never_gets_through_is_said_to_be_none() -> None:
    bench = Bench()
    bench.store.others = TRIES
    bench.store.document = PolicyDocument({}, b"x")

    class Restless(FakePolicyStore):
        async def replace(self, before: PolicyDocument, overrides: object) -> bool:
            return False

    bench = Bench()
    bench.policy = Policy(bench.settings, Restless(), changed=bench._count)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable, match="put it again"):
        await bench.policy.put({"push_max_members": 5})

    assert (bench.limit, bench.changes) == (200, 0)


async def test_another_settings_file_lies_below_what_was_put(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(push_max_members=100)
    await bench.policy.put({"push_max_members": 5})

    changed = bench.policy.rebase(Delivery(push_max_members=300, max_deliver=9), {"delivery.max_deliver": "file x"})

    assert changed == ["push_max_members", "max_deliver"]
    assert "hidden by what was put (pushpull policy --reset): push_max_members" in caplog.text
    assert (bench.limit, bench.settings.delivery.max_deliver) == (5, 9)
    assert bench.policy.entries()["push_max_members"]["without"]["value"] == 300
    assert bench.policy.entries()["max_deliver"] == {"value": 9, "origin": "file x"}
    await bench.policy.put({"push_max_members": None})
    assert bench.limit == 300


async def test_a_settings_file_that_contradicts_what_was_put_changes_nothing() -> None:
    bench = Bench()
    await bench.policy.put({"notify_interval_ms": 1_500})

    with pytest.raises(Invalid, match="notify_interval_ms 1500"):
        bench.policy.rebase(Delivery(notify_interval_max_ms=1_000, max_deliver=9), {})

    assert bench.settings.delivery == Delivery(notify_interval_ms=1_500)


async def test_what_a_later_release_put_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.store.document = PolicyDocument({"push_max_members": 5, "of_later": 1, "backoff": "steep"}, b"x")

    with caplog.at_level(logging.WARNING):
        await bench.policy.read()

    assert bench.limit == 5
    assert "of_later" in caplog.text
    assert "backoff 'steep'" in caplog.text


async def test_what_does_not_go_together_with_this_nodes_own_settings_is_left_out_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(notify_interval_max_ms=300)
    bench.store.document = PolicyDocument({"notify_interval_ms": 400, "max_deliver": 9}, b"x")

    with caplog.at_level(logging.ERROR):
        await bench.policy.read()

    assert bench.settings.delivery == Delivery(notify_interval_max_ms=300)
    assert "notify_interval_ms 400" in caplog.text
