"""What an operator sees of what goes wrong: each on a running service, by its metric."""

from __future__ import annotations

import asyncio
import re

import jwt
import pytest

from pushpull.model import Uid
from pushpull.node.node import Node
from pushpull.node.soundings import Soundings
from tests.contract import shown, written
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.leaks import SECRET
from tests.receiver import SECRET as WEBHOOK_SECRET
from tests.receiver import Receiver
from tests.servers import RedisServer

# What is counted is the node's; that both WebSocket paths reach it is held elsewhere.
pytestmark = pytest.mark.parametrize("serve", ["direct"], indirect=True)


def value(node: Node, name: str, **labels: str) -> float:
    found = node.metrics.registry.get_sample_value(f"pushpull_{name}", labels)
    assert found is not None, name
    return found


async def until(node: Node, name: str, wanted: float, **labels: str) -> None:
    async with asyncio.timeout(5):
        while value(node, name, **labels) != wanted:
            await asyncio.sleep(0.01)


async def test_connections_sessions_and_why_they_ended(service: LocalService) -> None:
    node = service.node
    silent = await service.wire()
    alice = await service.device("alice", "phone")
    assert (value(node, "connections"), value(node, "sessions")) == (2, 1)

    again = await service.device("alice", "phone")
    assert (await alice.closed())[0] == 4409
    assert value(node, "closes_total", code="4409") == 1
    await silent.leave()
    await again.leave()
    await until(node, "connections", 0)
    assert value(node, "sessions") == 0


async def test_a_bad_token_is_counted_by_its_reason(service: LocalService) -> None:
    stranger = await service.wire()
    await stranger.say("hello", token=jwt.encode({"sub": "eve"}, SECRET + "x", "HS256"), device="d")
    assert (await stranger.closed())[0] == 4401
    late = await service.wire()
    await late.say("hello", token=token_of("eve", exp=1), device="d")
    assert (await late.closed())[0] == 4401

    refused = {
        reason: value(service.node, "refused_tokens_total", reason=f"token_{reason}")
        for reason in ("invalid", "expired", "revoked")
    }
    assert refused == {"invalid": 1, "expired": 1, "revoked": 0}
    assert value(service.node, "closes_total", code="4401") == 2


async def test_who_is_over_a_rate_is_counted_by_what(serve: Serve) -> None:
    service = await serve(limits={"sends_per_s": 0.2})
    await service.room("tea", "alice")
    alice = await service.device("alice")
    for number in range(2):
        await alice.say("send", cid="tea", cmid=str(number), body=1)
    assert (await alice.hear("error"))["code"] == "rate_limited"

    assert value(service.node, "rate_limited_total", what="sends") == 1
    assert value(service.node, "rate_limited_total", what="frames") == 0


async def test_connections_beyond_the_limit_are_counted_as_such(serve: Serve) -> None:
    service = await serve(limits={"connections": 1})
    await service.device("alice")
    second = await service.wire()
    assert (await second.closed())[0] == 1013

    assert value(service.node, "refused_connects_total", reason="full") == 1
    assert value(service.node, "connections_max") == 1


async def test_http_calls_are_counted_by_status(service: LocalService) -> None:
    await service.room("tea", "alice")
    assert (await service.server.get("/v1/conversations/nowhere")).status_code == 404
    assert (await service.anybody().get("/v1/conversations/tea")).status_code == 401

    counted = {status: value(service.node, "http_answers_total", status=status) for status in ("201", "404", "401")}
    assert counted == {"201": 1, "404": 1, "401": 1}


async def test_probes_and_pipelines_are_timed(service: LocalService) -> None:
    assert value(service.node, "doorbell_ok") == 1
    assert value(service.node, "doorbell_seconds_count") >= 1
    before = value(service.node, "redis_calls_total")
    await service.room("tea", "alice")
    await service.post("tea", "one")

    assert value(service.node, "redis_calls_total") > before
    assert 0 < value(service.node, "redis_seconds_sum") < 5
    assert value(service.node, "redis_failures_total", reason="unreachable") == 0


@pytest.fixture
def soundings(service: LocalService) -> Soundings:
    return Soundings(service.node.store, service.node.metrics, offline=True)


async def test_what_stands_in_redis_is_asked_and_kept(
    service: LocalService, soundings: Soundings, redis_server: RedisServer
) -> None:
    redis_server.ask("CONFIG", "SET", "maxmemory", "512mb")
    try:
        await soundings.round()
    finally:
        redis_server.ask("CONFIG", "SET", "maxmemory", "0")

    assert value(service.node, "redis_ok") == 1
    assert value(service.node, "redis_memory_bytes", server="redis") > 100_000
    assert value(service.node, "redis_memory_max_bytes", server="redis") == 512 * 1024 * 1024
    assert value(service.node, "offline_queue", state="dead") == 0


async def test_a_redis_that_takes_no_writes_is_unfit(
    service: LocalService, soundings: Soundings, redis_server: RedisServer
) -> None:
    redis_server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        await soundings.round()
        assert value(service.node, "redis_ok") == 0
    finally:
        redis_server.ask("CONFIG", "SET", "min-replicas-to-write", "0")
    await soundings.round()
    assert value(service.node, "redis_ok") == 1


async def test_what_was_given_up_and_what_is_owed_are_told(serve: Serve) -> None:
    async with Receiver() as receiver:
        receiver.answer = lambda calls: (400, {})
        offline = {"webhook_url": receiver.url, "webhook_secret": WEBHOOK_SECRET, "delay_s": 0.05, "max_deliver": 1}
        service = await serve(offline=offline)
        soundings = Soundings(service.node.store, service.node.metrics, offline=True)
        await service.room("tea", "alice", "bob")
        await service.post("tea", "one", sender="alice")
        await until(service.node, "offline_jobs_total", 1, outcome="dead")
        await soundings.round()

        assert value(service.node, "offline_queue", state="dead") == 1
        assert value(service.node, "offline_calls_total", outcome="failed") == 1
        assert value(service.node, "offline_call_seconds_count") == 1
        assert value(service.node, "offline_oldest_seconds") == 0


async def test_users_whose_deletion_has_not_ended_are_told(service: LocalService, soundings: Soundings) -> None:
    await service.node.store.deletions.ask(Uid("alice"), "keep")
    await service.node.store.deletions.take()  # somebody else does, and says nothing more
    await soundings.round()

    assert value(service.node, "deletions") == 1


async def test_the_list_of_metrics_is_what_a_service_shows(service: LocalService, soundings: Soundings) -> None:
    await soundings.round()

    assert shown((await service.anybody().get("/metrics")).text) == written()


async def test_no_name_or_label_holds_an_id(service: LocalService) -> None:
    await service.room("conversation-of-two", "alice-the-first", "bob")
    alice = await service.device("alice-the-first", "her-device")
    await alice.say("send", cid="conversation-of-two", cmid="my-cmid", body="words")
    await alice.hear("sent")
    text = (await service.anybody().get("/metrics")).text

    assert "pushpull_appends_total 1.0" in text
    assert re.findall("conversation-of-two|alice|her-device|my-cmid|words", text) == []
