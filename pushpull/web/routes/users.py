"""A user's conversations and sessions, and the revocation of its tokens."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from pushpull.errors import Invalid
from pushpull.model import SessionId, check_cid
from pushpull.store.values import RowRequest
from pushpull.web.answers import ConversationsAnswer, RevokedAnswer, SessionAnswer, SessionsAnswer
from pushpull.web.bodies import SMALL_BYTES, RevokedBody, decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Name, Whole

PATH = "/v1/users/{uid}"
PAGE_DEFAULT = 100

AFTER = Name("after", "`next` of the page before", check_cid)
LIMIT = Whole("limit", f"rows on the page, {PAGE_DEFAULT} unless said", least=1, most=500)

TS_MAX_S: Final = 100_000_000_000
"""The year 5138: a time above it was written in ms."""


async def list_conversations(call: Call) -> Response:
    user = call.user
    after, limit = AFTER.read(call.query), LIMIT.read(call.query)
    conversations = call.node.store.conversations
    cids, following = await conversations.listed(user, after=after, limit=limit or PAGE_DEFAULT)
    wanted = [RowRequest(cid) for cid in cids]
    rows = await conversations.rows(user, wanted, unnamed="delivered", max_backlog=None, device="")
    # The list is a hint and the members are the truth: what it names in vain is dropped from it on the way.
    stale = [cid for cid, row in zip(cids, rows, strict=True) if row is None]
    if stale:
        await conversations.forget_hint(user, stale)
    shown = [call.node.row_json(row) for row in rows if row is not None]
    return reply({"conversations": shown, "next": following})


async def list_sessions(call: Call) -> Response:
    user = call.user
    sessions = [
        SessionAnswer(
            id=session.id,
            user=session.uid,
            device=session.device,
            node=session.node,
            client=session.client,
            connected_at=session.connected_at_ms,
        )
        for session in await call.node.store.presence.sessions(user)
    ]
    return reply(SessionsAnswer(sessions=sessions))


async def kick(call: Call) -> Response:
    """End one session, or all of a user's. One that has ended already is no error: the wish is fulfilled."""
    user = call.user
    session = call.request.path_params.get("session")
    await read_body(call.request, SMALL_BYTES)
    await call.check_wanted()
    await call.node.store.presence.kick(user, None if session is None else SessionId(session))
    return Response(status_code=204)


async def revoke(call: Call) -> Response:
    user = call.user
    body = decode(await read_body(call.request, SMALL_BYTES), RevokedBody)
    if not 0 <= body.ts <= TS_MAX_S:
        raise Invalid(f"ts {str(body.ts)[:40]} is not a time in seconds since 1970")
    ts = int(body.ts)
    await call.node.store.presence.revoke_before(user, ts)
    return reply(RevokedAnswer(user=user, revoked_before=ts))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=PATH + "/conversations",
        who=Who.USER,
        about="A user's conversations, a page at a time. For the user and servers.",
        run=list_conversations,
        query=(AFTER, LIMIT),
        answers={200: ConversationsAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH + "/sessions",
        who=Who.SERVER,
        about="Where a user is connected.",
        run=list_sessions,
        answers={200: SessionsAnswer},
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/sessions",
        who=Who.SERVER,
        about="End all sessions of a user.",
        run=kick,
        answers={204: None},
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/sessions/{session}",
        who=Who.SERVER,
        about="End one session of a user.",
        run=kick,
        answers={204: None},
    ),
    Endpoint(
        method="PUT",
        path=PATH + "/revoked_before",
        who=Who.SERVER,
        about="Refuse a user's tokens issued before a time, and end the sessions opened with them.",
        run=revoke,
        body=RevokedBody,
        answers={200: RevokedAnswer},
    ),
)
