"""What offline notification costs Redis and the receiver, counted: nothing of it grows with the messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from pushpull.model import Cid, Uid
from pushpull.node import away, deletions, doorbell, node, observation
from pushpull.store import CursorMove
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService
from tests.e2e.test_cost import commands
from tests.receiver import SECRET, Receiver
from tests.servers import RedisServer

MEMBERS = 2_500
BEHIND = 2_000
READERS = MEMBERS - BEHIND
BATCH = 500

pytestmark = [pytest.mark.parametrize("serve", ["direct"], indirect=True), pytest.mark.timeout(120)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def still(serve: Serve, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    """A service that asks Redis for nothing by the clock, in which a conversation is due at once when a test works."""
    monkeypatch.setattr(doorbell, "PROBE_S", 600.0)
    monkeypatch.setattr(node, "BEAT_S", 600.0)
    monkeypatch.setattr(deletions, "ROUND_S", 600.0)
    monkeypatch.setattr(observation, "SOUND_S", 600.0)
    monkeypatch.setattr(away, "ROUND_S", 600.0)
    monkeypatch.setattr(away, "MISSED_S", 600.0)
    service = await serve(
        delivery={"audit_interval_s": 600},
        offline={"webhook_url": receiver.url, "webhook_secret": SECRET, "delay_s": 1.0, "batch": BATCH},
    )
    # Redis has seen each script once.
    await service.room("warm", "bob")
    await service.post("warm", "1")
    await work(service)
    receiver.forget()
    return service


def of_jobs(server: RedisServer) -> Counter[str]:
    """Commands since it was last asked, but for what connections say to stay alive."""
    found = commands(server)
    del found["ping"]
    return found


async def work(service: LocalService) -> None:
    """What becomes due, done: one round when its time has come, and all it sets off."""
    await asyncio.sleep(1.1)
    offline = service.node._away._offline
    assert offline is not None
    await offline.round()
    if offline._held:
        await asyncio.wait(offline._held.values())


async def read_all(service: LocalService, uids: range, head: int) -> None:
    moves = [CursorMove(uid=Uid(f"u{n}"), read=str(head)) for n in uids]
    await service.node.store.cursors.flush({Cid("room"): moves})


async def test_a_job_costs_the_same_after_ten_messages_and_after_a_thousand(
    still: LocalService, receiver: Receiver, redis_server: RedisServer
) -> None:
    await still.room("room", offline="all")
    await still.join("room", *(f"u{n}" for n in range(MEMBERS)))
    costs: list[Counter[str]] = []
    head = 0
    for messages in (10, 1_000):
        await still.post_many("room", range(head + 1, head + messages + 1))
        head += messages
        await read_all(still, range(READERS), head)
        calls_before = len(receiver.ids)
        commands(redis_server)
        await work(still)
        costs.append(of_jobs(redis_server))
        assert len(receiver.ids) - calls_before == BEHIND / BATCH
        await read_all(still, range(MEMBERS), head)
    assert costs[0] == costs[1]
    # Four shards are asked twice, the job ends; 2,000 members are 2 chunks and one that is empty; and for each call:
    # claim, keep, the newest message, settled.
    assert costs[0]["evalsha"] <= 2 * 4 + 1 + 3 + 4 * BEHIND / BATCH
    assert receiver.notified() == {f"u{n}": 2 for n in range(READERS, MEMBERS)}


async def test_while_all_are_told_more_news_cost_a_look_and_no_call(
    still: LocalService, receiver: Receiver, redis_server: RedisServer
) -> None:
    await still.room("room", offline="all")
    await still.join("room", *(f"u{n}" for n in range(MEMBERS)))
    await still.post_many("room", range(1, 11))
    await read_all(still, range(READERS), 10)
    await work(still)
    costs: list[Counter[str]] = []
    calls = len(receiver.ids)
    for first, last in ((11, 20), (21, 520)):
        await still.post_many("room", range(first, last + 1))
        await read_all(still, range(READERS), last)
        commands(redis_server)
        await work(still)
        costs.append(of_jobs(redis_server))
    assert len(receiver.ids) == calls
    assert costs[0] == costs[1]
    assert costs[0]["evalsha"] <= 2 * 4 + 1 + 3


async def test_a_thousand_messages_are_one_mark(
    still: LocalService, receiver: Receiver, redis_server: RedisServer
) -> None:
    await still.room("room", "bob")
    commands(redis_server)
    await still.post_many("room", range(1, 1_001))
    found = commands(redis_server)
    assert found["xadd"] == 1_000
    assert found["evalsha"] == 2 + 1, "two batches of the appender, one mark"


async def test_without_a_webhook_nothing_is_marked(serve: Serve, redis_server: RedisServer) -> None:
    service = await serve()
    await service.room("room", "bob")
    await service.post("room", "1")
    assert redis_server.ask("KEYS", "{jobs:*") == "0"
