"""For operators: the delivery policy, the nodes, health, metrics."""

from __future__ import annotations

from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from pushpull.errors import Unsupported
from pushpull.web.answers import HealthAnswer, NodesAnswer, PolicyEntry, ReadyAnswer
from pushpull.web.endpoint import Call, Endpoint, Who, reply


async def get_policy(call: Call) -> Response:
    in_force = msgspec.structs.asdict(call.node.settings.delivery)
    origins = call.service.origins
    return reply(
        {
            key: PolicyEntry(value=value, origin=origins.get(f"delivery.{key}", "default"))
            for key, value in in_force.items()
        }
    )


async def put_policy(call: Call) -> Response:
    raise Unsupported("changing the policy of a running service is not supported in this release")


async def nodes(call: Call) -> Response:
    return reply(NodesAnswer(nodes=await call.node.nodes()))


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
        about="Change delivery settings on every node. Not supported in this release.",
        run=put_policy,
        answers={},
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
)
