"""`pushpull serve` on a Redis Cluster and under Sentinel: messages arrive, also after a primary was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import ServeProcess
from tests.e2e.service import Service, ServiceProcess
from tests.servers import RedisCluster, SentinelSetup

ROOMS = ["room", "hall", "attic"]


async def stored(service: Service, cid: str, cmid: str) -> None:
    """Send over HTTP until it is stored, as a client does."""
    async with asyncio.timeout(20):
        while True:
            answer = await service.server.post(
                f"/v1/conversations/{cid}/messages", json={"cmid": cmid, "body": cmid, "from": "alice"}
            )
            if answer.status_code in (200, 201):
                return
            assert answer.json()["code"] == "store_unavailable", answer.text


async def delivers(service: Service, kill: Callable[[], object]) -> None:
    for cid in ROOMS:
        await service.room(cid, "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")
    for cid in ROOMS:
        await alice.say("send", cid=cid, cmid="c1", body="before")
    for cid in ROOMS:
        assert [item["body"] for item in await bob.collect(cid, 1)] == ["before"]

    kill()
    for cid in ROOMS:
        await stored(service, cid, "c2")

    async with asyncio.timeout(15):
        for cid in ROOMS:
            assert [item["body"] for item in await bob.collect(cid, 2, after=1)] == ["c2"]
        while (await service.anybody().get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


@pytest.fixture
def serve(serve_process: ServeProcess, talk: Callable[[ServiceProcess], Service]) -> Callable[..., Service]:
    def start(url: str, **settings: Any) -> Service:
        return talk(serve_process(url=url, **settings))

    return start


async def test_on_a_cluster(serve: Callable[..., Service], start_cluster: Callable[..., RedisCluster]) -> None:
    cluster = start_cluster(replicas=1)
    service = serve(cluster.url)

    await delivers(service, cluster.primary_of("{c:room}:log").kill)


async def test_under_sentinel(serve: Callable[..., Service], start_sentinel: Callable[..., SentinelSetup]) -> None:
    setup = start_sentinel(replicas=2)
    service = serve(setup.url, redis__durability="replicated", redis__replicas=1)

    await delivers(service, setup.primary().kill)
