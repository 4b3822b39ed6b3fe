from __future__ import annotations

import httpx2

from tests.web.conftest import assert_problem
from tests.web.fakes import FakeNode


async def test_the_policy_says_what_is_in_force_and_where_it_came_from(server: httpx2.AsyncClient) -> None:
    policy = (await server.get("/v1/policy")).json()
    assert policy["push_max_members"] == {"value": 200, "origin": "env PUSHPULL_DELIVERY__PUSH_MAX_MEMBERS"}
    assert policy["ack_wait_ms"] == {"value": 5_000, "origin": "default"}


async def test_changing_the_policy_is_not_supported_yet(server: httpx2.AsyncClient) -> None:
    assert_problem(await server.put("/v1/policy", json={"push_max_members": 5}), 501, "unsupported")


async def test_operations_are_for_servers(alice: httpx2.AsyncClient) -> None:
    for path in ("/v1/policy", "/v1/nodes"):
        assert_problem(await alice.get(path), 403, "not_allowed")


async def test_nodes_are_listed(server: httpx2.AsyncClient) -> None:
    assert (await server.get("/v1/nodes")).json() == {"nodes": [{"id": "n1", "sessions": 0}]}


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
