"""What the store tells of its own work: how long, how much, what was tried again and what was given up."""

from __future__ import annotations

from typing import Any

import pytest
from redis import exceptions as redis_errors

from pushpull.errors import StoreUnavailable
from pushpull.store import Store
from pushpull.store.refusals import NotConfirmed, reason_of


class Seen:
    """A Watch that remembers."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.again = 0
        self.reasons: list[str] = []

    def exchanged(self, seconds: float, calls: int) -> None:
        assert 0 < seconds < 5
        self.calls.append(calls)

    def tried_again(self, calls: int) -> None:
        self.again += calls

    def failed(self, reason: str) -> None:
        self.reasons.append(reason)

    def lost_bells(self) -> None: ...


async def test_each_exchange_is_told_with_the_number_of_its_calls(store: Store) -> None:
    seen = Seen()
    store.watched_by(seen)

    await store._wire.command("GET", "{a}:x")
    await store._wire.commands([("GET", "{a}:x"), ("GET", "{b}:x"), ("GET", "{c}:x")])

    assert (seen.calls, seen.again, seen.reasons) == ([1, 3], 0, [])


async def test_what_is_lost_once_is_tried_again_and_not_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    store.watched_by(seen)
    exchange, lost = store._servers.exchange, [redis_errors.ConnectionError("gone")]

    async def first_fails(commands: Any, barrier: Any = None) -> list[Any]:
        return [lost.pop()] if lost else await exchange(commands, barrier)

    monkeypatch.setattr(store._servers, "exchange", first_fails)
    assert await store._wire.command("GET", "{a}:x", again=True) is None

    assert (seen.again, seen.reasons) == (1, [])


async def test_what_redis_refuses_is_given_up_by_its_word(store: Store) -> None:
    seen = Seen()
    store.watched_by(seen)

    with pytest.raises(StoreUnavailable):
        await store._wire.command("INCRBY", "{a}:x", "nonsense")

    assert seen.reasons == ["other"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotConfirmed("0 of 1 replicas"), "not_confirmed"),
        (redis_errors.OutOfMemoryError("command not allowed"), "oom"),
        (redis_errors.ReadOnlyError("you cannot write"), "readonly"),
        (redis_errors.ResponseError("NOREPLICAS not enough"), "noreplicas"),
        (redis_errors.TimeoutError("silence"), "timeout"),
        (redis_errors.ConnectionError("refused"), "unreachable"),
        (OSError("refused"), "unreachable"),
        (redis_errors.ResponseError("ERR value is not an integer"), "other"),
    ],
)
def test_each_failure_has_one_word(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


async def test_every_primary_says_how_much_memory_it_uses(store: Store, request: pytest.FixtureRequest) -> None:
    found = await store.memory()

    if "fakeredis" in request.node.name:
        assert found == []  # it does not say
    else:
        assert len(found) == (3 if "cluster" in request.node.name else 1)
        assert len({each.server for each in found}) == len(found)
        assert all(each.used_bytes > 100_000 and each.max_bytes == 0 for each in found)
