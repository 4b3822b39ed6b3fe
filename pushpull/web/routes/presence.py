"""Who is there, as the members of a small conversation may know it of each other."""

from __future__ import annotations

from starlette.responses import Response

from pushpull.web.answers import PresenceAnswer
from pushpull.web.endpoint import Call, Endpoint, Who, reply


async def presence(call: Call) -> Response:
    cid = call.cid
    await call.require_member(cid)
    found = await call.node.attendance.of(cid)
    # Who, and no more: with what device, where and since when is the backend's to know.
    return reply(PresenceAnswer(cid=cid, members=found.members, connected=[str(uid) for uid in found.connected]))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/conversations/{cid}/presence",
        who=Who.USER,
        about="Who of a small conversation's members is connected. For members.",
        run=presence,
        answers={200: PresenceAnswer},
    ),
)
