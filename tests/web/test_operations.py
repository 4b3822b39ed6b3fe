from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.web.conftest import assert_problem
from tests.web.fakes import NODE, FakeNode


async def test_the_policy_says_what_is_in_force_and_where_it_came_from(server: httpx2.AsyncClient) -> None:
    policy = (await server.get("/v1/policy")).json()
    assert policy["push_max_members"] == {"value": 200, "origin": "env PUSHPULL_DELIVERY__PUSH_MAX_MEMBERS"}
    assert policy["ack_wait_ms"] == {"value": 5_000, "origin": "default"}


async def test_a_setting_that_is_put_says_so_and_what_it_hides(server: httpx2.AsyncClient, node: FakeNode) -> None:
    answer = await server.put("/v1/policy", json={"push_max_members": 5, "hysteresis": 0.25})

    assert answer.status_code == 200
    assert answer.json() == (await server.get("/v1/policy")).json()
    assert answer.json()["push_max_members"] == {
        "value": 5,
        "origin": "PUT /v1/policy",
        "without": {"value": 200, "origin": "env PUSHPULL_DELIVERY__PUSH_MAX_MEMBERS"},
    }
    assert (node.settings.delivery.push_max_members, node.settings.delivery.hysteresis) == (5, 0.25)


async def test_null_takes_a_setting_back(server: httpx2.AsyncClient, node: FakeNode) -> None:
    await server.put("/v1/policy", json={"push_max_members": 5, "max_deliver": 9})

    answer = await server.put("/v1/policy", json={"push_max_members": None})

    assert answer.json()["push_max_members"]["origin"].startswith("env")
    assert (node.settings.delivery.push_max_members, node.settings.delivery.max_deliver) == (200, 9)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"push_max_members": -1}, ("push_max_members", "-1", ">= 0")),
        ({"push_max_members": "many"}, ("push_max_members", "'many'", "int")),
        ({"hysteresis": 1.5}, ("hysteresis", "1.5", "< 1")),
        ({"push_members": 5}, ("push_members", "push_max_members")),
        ({"port": 5}, ("port", "push_max_members")),
        ({"ack_wait_ms": 0, "backoff": 0.5}, ("ack_wait_ms 0", "backoff 0.5")),
        ({"notify_interval_ms": 3_000}, ("notify_interval_ms 3000", "notify_interval_max_ms 2000")),
        ({"max_deliver": 9, "tail_bytes": True}, ("tail_bytes True", "int")),
    ],
)
async def test_of_a_change_that_is_wrong_anywhere_nothing_is_taken(
    server: httpx2.AsyncClient, node: FakeNode, changes: dict[str, Any], named: tuple[str, ...]
) -> None:
    before = node.settings.delivery

    assert_problem(await server.put("/v1/policy", json=changes), 422, "invalid", *named)

    assert node.settings.delivery == before


async def test_what_is_no_object_is_a_bad_request(server: httpx2.AsyncClient) -> None:
    assert_problem(await server.put("/v1/policy", json=[1]), 400, "bad_request", "object")


async def test_operations_are_for_servers(alice: httpx2.AsyncClient) -> None:
    for path in ("/v1/policy", "/v1/nodes", "/v1/stats", "/v1/conversations"):
        assert_problem(await alice.get(path), 403, "not_allowed")


async def test_nodes_are_listed(server: httpx2.AsyncClient) -> None:
    assert (await server.get("/v1/nodes")).json() == {"nodes": [{"node": "n1", **NODE}]}


async def test_how_the_nodes_do_is_told_of_each_and_of_all(server: httpx2.AsyncClient) -> None:
    answer = (await server.get("/v1/stats")).json()

    assert answer["total"]["sessions"] == 3
    first, second = answer["nodes"]
    assert (first["node"], first["age_ms"], first["figures"]["sessions"]) == ("n1", 5, 3)
    assert (first["started_at"], first["draining"]) == (7, True)
    assert (second["node"], second["figures"], second["draining"]) == ("n2", None, False)


async def test_as_many_of_the_busiest_conversations_are_listed_as_is_asked_for(server: httpx2.AsyncClient) -> None:
    both = (await server.get("/v1/conversations")).json()["conversations"]
    one = (await server.get("/v1/conversations?limit=1")).json()["conversations"]

    assert [each["cid"] for each in both] == ["tea", "team"]
    assert one == both[:1]
    assert_problem(await server.get("/v1/conversations?limit=51"), 422, "invalid", "limit", "51")


async def test_a_node_is_alive_whatever_redis_does_and_ready_only_with_it(
    anybody: httpx2.AsyncClient, node: FakeNode
) -> None:
    assert (await anybody.get("/readyz")).json() == {"ready": True, "checks": {"redis": "ok"}}
    node.ready, node.store.away = False, True
    assert (await anybody.get("/healthz")).json() == {"status": "ok"}
    unready = await anybody.get("/readyz")
    assert (unready.status_code, unready.json()["checks"]) == (503, {"redis": "unreachable"})


async def test_metrics_are_prometheus_text(anybody: httpx2.AsyncClient) -> None:
    metrics = await anybody.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "pushpull_appends_total 1.0" in metrics.text
