"""For operators: how all nodes do, and which conversations are busiest."""

from __future__ import annotations

import time

from starlette.responses import Response

from pushpull.node.overview import figures
from pushpull.node.report import MOST_BUSY
from pushpull.store.values import NodeRecord
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Whole
from pushpull.web.service_answers import BusiestAnswer, NodeStats, StatsAnswer

BUSIEST_DEFAULT = 20

LIMIT = Whole("limit", f"conversations, {BUSIEST_DEFAULT} unless said", least=1, most=MOST_BUSY)


async def stats(call: Call) -> Response:
    reports = await call.node.overview.reports()
    nodes = [
        NodeStats(
            node=node.id,
            age_ms=node.age_ms,
            started_at=_started_at(node),
            draining=bool(node.info.get("draining")),
            figures=None if said is None else figures([said]),
        )
        for node, said in reports
    ]
    total = figures([said for _, said in reports if said is not None])
    return reply(StatsAnswer(at=int(time.time() * 1000), total=total, nodes=nodes))


def _started_at(node: NodeRecord) -> int:
    started = node.info.get("started_at")
    return started if isinstance(started, int) else 0


async def busiest(call: Call) -> Response:
    limit = LIMIT.read(call.query)
    return reply(BusiestAnswer(conversations=await call.node.overview.busiest(limit or BUSIEST_DEFAULT)))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/stats",
        who=Who.SERVER,
        about="How the nodes do, each and together: sessions, messages a second, latencies of the last seconds.",
        run=stats,
        answers={200: StatsAnswer},
    ),
    Endpoint(
        method="GET",
        path="/v1/conversations",
        who=Who.SERVER,
        about="The busiest conversations that somebody is connected to, by messages a second, with their modes.",
        run=busiest,
        query=(LIMIT,),
        answers={200: BusiestAnswer},
    ),
)
