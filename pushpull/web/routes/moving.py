"""Conversations out of the service, and into it: as lines of JSON, streamed either way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pushpull.delivery.transfer import MEDIA_TYPE
from pushpull.errors import BadRequest, lowered
from pushpull.web import bodies
from pushpull.web.arrivals import still_going
from pushpull.web.bodies import SettingsBody, checked_settings
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.openapi import Lines

PATH = "/v1/conversations/{cid}"


class ImportAnswer(msgspec.Struct, kw_only=True):
    """The conversation that a file became. `made`: by this call, else by an earlier one with the same file, which is
    then only compared; `added`: lines of messages and members that no earlier one had stored."""

    cid: str
    made: bool
    head: int
    floor: int
    count: int
    messages: int
    redacted: int
    members: int
    added: int


async def export_conversation(call: Call) -> Response:
    pieces = await call.node.moving.export(call.cid)
    return StreamingResponse(_going_on(call.request, pieces), media_type=MEDIA_TYPE)


async def import_conversation(call: Call) -> Response:
    cid = call.cid
    done = await call.node.moving.bring_in(cid, _chunks(call.request), _settings)
    answer = ImportAnswer(
        cid=cid,
        made=done.made,
        head=done.head,
        floor=done.summary.floor,
        count=done.summary.count,
        messages=done.summary.messages,
        redacted=done.summary.redacted,
        members=done.summary.members,
        added=done.added,
    )
    return reply(answer, 201 if done.made else 200)


async def give_up_import(call: Call) -> Response:
    await call.node.store.imports.give_up(call.cid)
    return Response(status_code=204)


async def _going_on(request: Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        still_going(request.scope)
        yield piece


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, as long as it may be. Raises BadRequest where nothing comes for a while."""
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(bodies.READ_TIMEOUT_S):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise BadRequest(f"nothing of the request body came for {bodies.READ_TIMEOUT_S:.0f} s") from None
        still_going(request.scope)
        yield chunk


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return checked_settings(msgspec.convert(given, SettingsBody))
    except msgspec.ValidationError as problem:
        raise BadRequest(f"settings: {lowered(problem)}") from None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=PATH + "/export",
        who=Who.SERVER,
        about="All of a conversation as lines of JSON: its log, what was redacted, its members with their cursors.",
        run=export_conversation,
        answers={200: Lines},
    ),
    Endpoint(
        method="POST",
        path=PATH + "/import",
        who=Who.SERVER,
        about="Make a conversation of the lines of an export; the same file again goes on where that was interrupted.",
        run=import_conversation,
        body=Lines,
        answers={200: ImportAnswer, 201: ImportAnswer},
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/import",
        who=Who.SERVER,
        about="Forget what was stored of an import that is not over.",
        run=give_up_import,
        answers={204: None},
    ),
)
