"""Who is away is told whatever happens: nodes die over the work, the receiver is down or bad, Redis restarts.

Judged by what the receiver took: each user of each conversation in exactly one event, however often that event came.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import Service
from tests.faults.stage import Stage
from tests.receiver import SECRET, Receiver
from tests.servers import RedisServer

ROOMS = 8
MEMBERS = 20
TIMEOUT_S = 0.5
TAKEN_OVER_S = 3 * TIMEOUT_S + 5
"""A worker that is silent for so long loses its job (settings.Offline.silence_s)."""

pytestmark = pytest.mark.timeout(90)

StartRedis = Callable[..., RedisServer]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def stage_with(receiver: Receiver, directory: Path, redis: RedisServer, **settings: Any) -> Stage:
    """Two nodes that tell `receiver`."""
    webhook = {"webhook_url": receiver.url, "webhook_secret": SECRET, "delay_s": 0.5, "timeout_s": TIMEOUT_S}
    named = {f"offline__{name}": value for name, value in {**webhook, "batch": 7, **settings}.items()}
    return Stage(directory, redis, nodes=2, **named)


def uids(count: int) -> list[str]:
    return [f"u{n}" for n in range(count)]


async def with_news(services: list[Service], rooms: int = ROOMS) -> Counter[tuple[str, str]]:
    """Rooms with members who read nothing, messages in each through one node after the other; who is to be told."""
    for n in range(rooms):
        await services[0].room(f"r{n}", *uids(MEMBERS))
    for n in range(3 * rooms):
        await services[n % len(services)].post(f"r{n % rooms}", str(n))
    return Counter({(f"r{n}", uid): 1 for n in range(rooms) for uid in uids(MEMBERS)})


def told(receiver: Receiver) -> Counter[tuple[str, str]]:
    return Counter((data["cid"], user["user"]) for data in receiver.taken.values() for user in data["users"])


async def all_told(receiver: Receiver, expected: Counter[tuple[str, str]], within: float) -> None:
    await receiver.until(lambda seen: told(seen).keys() >= expected.keys(), within)
    await asyncio.sleep(0.7)  # for what should not come
    assert told(receiver) == expected


async def services_of(stage: Stage) -> list[Service]:
    return [Service(node.url) for node in stage.nodes]


async def test_another_node_takes_over_what_a_killed_one_was_doing(
    receiver: Receiver, start_redis: StartRedis, tmp_path: Path
) -> None:
    receiver.hold_s = 0.2
    async with stage_with(receiver, tmp_path, start_redis(), batch=20) as stage:
        services = await services_of(stage)
        await services[0].room("room", *uids(180), offline="all")
        await services[0].post("room", "1")
        await receiver.until(lambda seen: len(seen.ids) >= 3)
        worked = [await calls_of(service) for service in services]
        await asyncio.to_thread(stage.nodes[worked.index(max(worked))].process.kill)
        await all_told(receiver, Counter({("room", uid): 1 for uid in uids(180)}), within=TAKEN_OVER_S + 10)
        assert len(receiver.ids) > len(set(receiver.ids)), "the call it died over came again under its id"
        for service in services:
            await service.close()


async def calls_of(service: Service) -> float:
    """How many notifications this node has handed over."""
    lines = (await service.server.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("pushpull_offline_users_total"))


async def test_a_receiver_that_is_down_fails_is_slow_and_asks_for_a_pause_hears_each_user_once(
    receiver: Receiver, start_redis: StartRedis, tmp_path: Path
) -> None:
    bad = [(500, {}), (200, {}), (503, {}), (200, {}), (404, {})]

    def answer(calls: int) -> tuple[int, dict[str, str]]:
        receiver.hold_s = 2 * TIMEOUT_S if calls in (7, 17) else 0.0
        if calls == 12:
            return 429, {"retry-after": "1"}
        return bad[calls % len(bad)] if calls < 30 else (200, {})

    receiver.answer = answer
    async with stage_with(receiver, tmp_path, start_redis()) as stage:
        services = await services_of(stage)
        await receiver.close()
        expected = await with_news(services)
        await asyncio.sleep(1.5)
        await receiver.open()
        await all_told(receiver, expected, within=60)
        assert len(receiver.ids) > len(set(receiver.ids))
        for service in services:
            await service.close()


async def test_a_redis_that_is_killed_and_restarted_forgets_nobody(
    receiver: Receiver, start_redis: StartRedis, tmp_path: Path
) -> None:
    redis = start_redis(appendonly=True)
    receiver.hold_s = 0.1
    async with stage_with(receiver, tmp_path, redis) as stage:
        services = await services_of(stage)
        expected = await with_news(services)
        await receiver.until(lambda seen: len(seen.ids) >= 3)
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(redis.start)
        await all_told(receiver, expected, within=TAKEN_OVER_S + 20)
        for service in services:
            await service.close()


async def test_both_nodes_work_and_no_news_tell_twice(
    receiver: Receiver, start_redis: StartRedis, tmp_path: Path
) -> None:
    receiver.hold_s = 0.3  # more than one node does at a time
    async with stage_with(receiver, tmp_path, start_redis()) as stage:
        services = await services_of(stage)
        expected = await with_news(services, rooms=40)
        for n in range(60):
            await services[n % 2].post(f"r{n % 40}", f"more {n}")
            await asyncio.sleep(0.02)
        await all_told(receiver, expected, within=20)
        assert all([await calls_of(service) > 0 for service in services]), "both had a part in it"
        for service in services:
            await service.close()
