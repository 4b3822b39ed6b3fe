"""A real Prometheus over a real service: it has what the dashboard asks for, and fires when the service is broken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.prometheus import Prometheus, queries
from tests.e2e.service import Service, ServiceProcess
from tests.receiver import SECRET, Receiver
from tests.servers import RedisServer

WITHIN_S = 25.0
TO_FIRE = {
    "PushpullDown",
    "PushpullNodeLost",
    "PushpullOfflineDeadLetters",
    "PushpullRedisUnfit",
    "PushpullRedisFailing",
    "PushpullSendsRefused",
}


@dataclass
class Scene:
    redis: RedisServer
    nodes: list[ServiceProcess]
    prometheus: Prometheus

    @property
    def instances(self) -> list[str]:
        return [node.url.removeprefix("http://") for node in self.nodes]

    async def until(self, true: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + WITHIN_S
        while not await asyncio.to_thread(true):
            assert time.monotonic() < give_up, f"{what}; firing: {self.prometheus.firing()}"
            await asyncio.sleep(0.2)

    async def fires(self, *alerts: tuple[str, str]) -> None:
        """Wait until these fire: (alert, instance)."""
        await self.until(lambda: set(alerts) <= self.prometheus.firing(), f"{alerts} fire")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Of the webhook: it refuses everything."""
    async with Receiver() as receiver:
        receiver.answer = lambda calls: (400, {})
        yield receiver


@pytest.fixture
def scene(start_redis: Callable[..., RedisServer], receiver: Receiver, tmp_path: Path) -> Iterator[Scene]:
    """Two nodes on a Redis of their own, and who watches them."""
    redis = start_redis(maxmemory="512mb")
    settings = {
        "offline__webhook_url": receiver.url,
        "offline__webhook_secret": SECRET,
        "offline__delay_s": 0.1,
        "offline__max_deliver": 1,
    }
    nodes = [ServiceProcess(tmp_path, redis.url, **settings) for _ in range(2)]
    scene = Scene(redis, nodes, Prometheus(tmp_path, [node.url.removeprefix("http://") for node in nodes]))
    try:
        with ThreadPoolExecutor() as pool:  # side by side: each takes two seconds
            list(pool.map(lambda each: each.start(), [*nodes, scene.prometheus]))
        yield scene
    finally:
        scene.prometheus.stop()
        for node in nodes:
            node.kill()


async def test_a_service_at_work_fills_the_dashboard_and_a_broken_one_fires(scene: Scene) -> None:
    prometheus, (first, second) = scene.prometheus, scene.nodes
    service = Service(first.url)
    try:
        await scene.until(lambda: len(prometheus.ask("up == 1")) == 2, "both nodes are scraped")
        assert not {alert for alert, _ in prometheus.firing()} & TO_FIRE

        await service.room("tea", "alice", "bob")
        alice = await service.device("alice")
        await service.post("tea", "one", sender="alice")
        await alice.hear("messages")
        given_up = 'sum(pushpull_offline_jobs_total{outcome="dead"}) == 1'
        await scene.until(lambda: bool(prometheus.ask(given_up)), "bob is away, and the webhook refuses to hear of it")
        second.kill()
        await scene.fires(
            ("PushpullDown", scene.instances[1]), ("PushpullNodeLost", ""), ("PushpullOfflineDeadLetters", "")
        )
        await scene.until(lambda: not empty(prometheus), "each query of the dashboard finds something")

        scene.redis.kill()
        lost = asyncio.create_task(service.server.post("/v1/conversations/tea/messages", json={"cmid": "x", "body": 1}))
        await scene.fires(
            ("PushpullRedisUnfit", scene.instances[0]),
            ("PushpullSendsRefused", scene.instances[0]),
            ("PushpullRedisFailing", scene.instances[0]),
        )
        assert (await lost).status_code == 503
    finally:
        await service.close()


def empty(prometheus: Prometheus) -> list[tuple[str, str]]:
    """What the dashboard asks and gets nothing for."""
    return [(panel, query) for panel, query in queries() if not prometheus.ask(query)]
