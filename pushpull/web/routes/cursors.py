"""Cursors, receipts, and what is pending."""

from __future__ import annotations

from starlette.responses import Response

from pushpull.errors import BadRequest
from pushpull.model import check_uid
from pushpull.web.answers import CursorsAnswer, PendingAnswer, ReceiptsAnswer
from pushpull.web.bodies import SMALL_BYTES, CursorsBody, decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Name, Whole, within

PATH = "/v1/conversations/{cid}"

USER = Name("user", "only this user's", check_uid)
MIN_IDLE_MS = Whole("min_idle_ms", "only what was last sent at least this long ago")
LIMIT = Whole("limit", "rows; without it the summary", least=1, most=1_000)


async def move_cursors(call: Call) -> Response:
    cid = call.cid
    body = decode(await read_body(call.request, SMALL_BYTES), CursorsBody)
    user = call.user
    delivered, read = within("delivered", body.delivered), within("read", body.read)
    if delivered is None and read is None:
        raise BadRequest("request body moves nothing: expected 'delivered', 'read' or both")
    # A cursor that nobody has and one that does not move look the same to the store: ask first which it is.
    await call.node.store.members.require(cid, user)
    moved = await call.node.move_cursors(cid, user, delivered=delivered, read=read)
    return reply(
        CursorsAnswer(
            cid=cid, user=user, delivered=moved.delivered, read=moved.read, unread=moved.unread, count=moved.count
        )
    )


async def receipts(call: Call) -> Response:
    cid, seq = call.cid, call.seq
    await call.require_member(cid)
    head = await call.node.store.conversations.head(cid)
    # Names only as long as a client may show them one by one; in a large conversation the counts are all.
    names = head.members <= call.node.settings.delivery.push_max_members
    found = await call.node.store.cursors.receipts(cid, seq, names=names)
    return reply(
        ReceiptsAnswer(
            cid=cid,
            seq=seq,
            delivered=found.delivered,
            read=found.read,
            delivered_by=None if found.delivered_by is None else [str(uid) for uid in found.delivered_by],
            read_by=None if found.read_by is None else [str(uid) for uid in found.read_by],
        )
    )


async def pending(call: Call) -> Response:
    user, min_idle_ms, limit = USER.read(call.query), MIN_IDLE_MS.read(call.query), LIMIT.read(call.query)
    return reply(await call.node.pending(call.cid, user=user, min_idle_ms=min_idle_ms or 0, limit=limit))


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path=PATH + "/cursors/{uid}",
        who=Who.USER,
        about="Move a member's cursors (`me`: one's own) forward; past the head means at it.",
        run=move_cursors,
        body=CursorsBody,
        answers={200: CursorsAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH + "/receipts/{seq}",
        who=Who.USER,
        about="How many members have a message delivered and read, and who. For members.",
        run=receipts,
        answers={200: ReceiptsAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH + "/pending",
        who=Who.SERVER,
        about="What members still lack: a summary, or with `limit` the ranges one by one.",
        run=pending,
        query=(USER, MIN_IDLE_MS, LIMIT),
        answers={200: PendingAnswer},
    ),
)
