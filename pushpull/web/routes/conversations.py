"""Conversations: make, change, look at, delete."""

from __future__ import annotations

import dataclasses

from msgspec import UNSET
from starlette.responses import Response

from pushpull.delivery.policy import Decision, Focus
from pushpull.model import Cid
from pushpull.web.answers import ConversationAnswer, SettingsAnswer, WayAnswer
from pushpull.web.bodies import (
    MEMBERS_BYTES,
    SMALL_BYTES,
    ConversationBody,
    checked_members,
    checked_settings,
    decode,
    read_body,
)
from pushpull.web.endpoint import Call, Endpoint, Who, reply

PATH = "/v1/conversations/{cid}"


async def put_conversation(call: Call) -> Response:
    cid = call.cid
    # A bare PUT, without a body, makes a conversation with every default.
    body = decode(await read_body(call.request, MEMBERS_BYTES) or b"{}", ConversationBody)
    members = None if body.members is UNSET else checked_members(body.members)
    settings = checked_settings(body.settings)
    await call.check_wanted()
    created = await call.node.store.conversations.put(cid, settings, members=members)
    return reply(await _answer(call, cid), 201 if created else 200)


async def get_conversation(call: Call) -> Response:
    cid = call.cid
    await call.require_member(cid)
    return reply(await _answer(call, cid))


async def delete_conversation(call: Call) -> Response:
    cid = call.cid
    await read_body(call.request, SMALL_BYTES)
    await call.check_wanted()
    await call.node.store.conversations.delete(cid)
    return Response(status_code=204)


async def _answer(call: Call, cid: Cid) -> ConversationAnswer:
    head = await call.node.store.conversations.head(cid)
    ruling = call.node.ruling_of(head, cid)
    decision = ruling.explained(Focus.UNSAID)
    return ConversationAnswer(
        cid=cid,
        head=head.seq,
        floor=head.floor,
        epoch=head.epoch,
        count=head.count,
        members=head.members,
        settings=SettingsAnswer(**dataclasses.asdict(head.settings)),
        mode=decision.mode.value,
        why=decision.why,
        on_screen=_way(ruling.explained(Focus.HERE)),
        off_screen=_way(ruling.explained(Focus.ELSEWHERE)),
        rate=round(ruling.rate, 3),
    )


def _way(decision: Decision) -> WayAnswer:
    return WayAnswer(way=decision.way.value, mode=decision.mode.value, why=decision.why)


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path=PATH,
        who=Who.SERVER,
        about="Make a conversation, or change the settings of one.",
        run=put_conversation,
        body=ConversationBody,
        answers={200: ConversationAnswer, 201: ConversationAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH,
        who=Who.USER,
        about="A conversation's head, settings and mode. For its members.",
        run=get_conversation,
        answers={200: ConversationAnswer},
    ),
    Endpoint(
        method="DELETE",
        path=PATH,
        who=Who.SERVER,
        about="Delete a conversation with everything in it.",
        run=delete_conversation,
        answers={204: None},
    ),
)
