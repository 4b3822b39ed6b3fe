"""For operators: the delivery policy, the nodes, health, metrics."""

from __future__ import annotations

from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from pushpull.web.bodies import decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.service_answers import HealthAnswer, NodesAnswer, PolicyEntry, ReadyAnswer

POLICY_BYTES: Final = 64 * 1024


async def get_policy(call: Call) -> Response:
    return reply({key: PolicyEntry(**entry) for key, entry in call.node.policy.entries().items()})


async def put_policy(call: Call) -> Response:
    changes = decode(await read_body(call.request, POLICY_BYTES), dict[str, Any])
    await call.check_wanted()
    await call.node.policy.put(changes)
    return await get_policy(call)


async def nodes(call: Call) -> Response:
    return reply({"nodes": await call.node.nodes()})


async def healthz(call: Call) -> Response:
    """The process answers: Redis has no part in it, or an outage there would restart every node."""
    return reply(HealthAnswer())


async def readyz(call: Call) -> Response:
    readiness = await call.node.readiness()
    return reply(ReadyAnswer(ready=readiness.ready, checks=readiness.checks), 200 if readiness.ready else 503)


async def metrics(call: Call) -> Response:
    return Response(generate_latest(call.node.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def openapi(call: Call) -> Response:
    return Response(call.service.openapi, media_type="application/json")


async def asyncapi(call: Call) -> Response:
    return Response(call.service.asyncapi, media_type="application/json")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/policy",
        who=Who.SERVER,
        about="The delivery settings in force, and where each came from.",
        run=get_policy,
        answers={200: dict[str, PolicyEntry]},
    ),
    Endpoint(
        method="PUT",
        path="/v1/policy",
        who=Who.SERVER,
        about="Change delivery settings on every node, all or none; null takes one back to the node's own.",
        run=put_policy,
        body=dict[str, Any],
        answers={200: dict[str, PolicyEntry]},
    ),
    Endpoint(
        method="GET",
        path="/v1/nodes",
        who=Who.SERVER,
        about="The nodes that live, with their sessions and feeds.",
        run=nodes,
        answers={200: NodesAnswer},
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        who=Who.ANYBODY,
        about="The process lives.",
        run=healthz,
        answers={200: HealthAnswer},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        who=Who.ANYBODY,
        about="Whether this node can serve.",
        run=readyz,
        answers={200: ReadyAnswer, 503: ReadyAnswer},
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        who=Who.ANYBODY,
        about="Metrics in Prometheus' text format.",
        run=metrics,
        answers={200: str},
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        who=Who.ANYBODY,
        about="This description.",
        run=openapi,
        answers={200: dict[str, Any]},
    ),
    Endpoint(
        method="GET",
        path="/asyncapi.json",
        who=Who.ANYBODY,
        about="What is said over WebSocket, both ways: AsyncAPI 3.0.",
        run=asyncapi,
        answers={200: dict[str, Any]},
    ),
)
