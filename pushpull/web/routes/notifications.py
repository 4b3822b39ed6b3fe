"""What users are notified of while away: their own wishes, what they have not read, and how the webhook does."""

from __future__ import annotations

from msgspec import UNSET
from starlette.responses import Response

from pushpull.errors import BadRequest, Invalid, not_a_member
from pushpull.model import Cid, check_uid
from pushpull.store.jobs import MOST_DEAD
from pushpull.store.values import RowRequest
from pushpull.web.answers import RowAnswer, UnreadAnswer
from pushpull.web.bodies import MEMBERS_BYTES, SMALL_BYTES, PrefsBody, RequeueBody, checked_prefs, decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Whole
from pushpull.web.service_answers import DeadLetterAnswer, OfflineAnswer, RequeuedAnswer

PAGE = 100
DEAD_DEFAULT = 20

LIMIT = Whole("limit", f"dead letters shown, the newest; {DEAD_DEFAULT} unless said", least=0, most=1_000)


async def set_own(call: Call) -> Response:
    cid = call.cid
    # A server has no wishes of its own: `me` is then the name of a user, who is hardly a member.
    user = call.caller.uid or check_uid("me")
    notify, mute_until = checked_prefs(decode(await read_body(call.request, SMALL_BYTES), PrefsBody))
    if notify is None and mute_until is None:
        raise BadRequest("request body changes nothing: expected 'notify', 'mute_until' or both")
    await call.check_wanted()
    await call.node.store.absences.prefer(cid, user, notify=notify, mute_until=mute_until)
    (row,) = await call.node.store.conversations.rows(user, [RowRequest(cid)])
    if row is None:
        raise not_a_member(user, cid)
    return reply(call.node.row_json(row))


async def unread(call: Call) -> Response:
    user, conversations = call.user, call.node.store.conversations
    total, behind, mentions = 0, 0, 0
    after: Cid | None = None
    while True:
        cids, after = await conversations.listed(user, after=after, limit=PAGE)
        rows = [row for row in await conversations.rows(user, [RowRequest(cid) for cid in cids]) if row is not None]
        total += sum(row.unread for row in rows)
        behind += sum(row.unread > 0 for row in rows)
        mentions += sum(row.mentions for row in rows)
        if after is None:
            return reply(UnreadAnswer(total=total, conversations=behind, mentions=mentions))


async def offline(call: Call) -> Response:
    limit = LIMIT.read(call.query)
    jobs = call.node.store.jobs
    counts = await jobs.counts()
    dead = await jobs.dead(limit=DEAD_DEFAULT if limit is None else limit) if limit != 0 else []
    return reply(
        OfflineAnswer(
            enabled=bool(call.node.settings.offline.webhook_url),
            due=counts.due,
            waiting=counts.waiting,
            pending=counts.pending,
            dead=counts.dead,
            letters=[
                DeadLetterAnswer(id=each.id, cid=each.cid, why=each.why, tries=each.tries, at=each.at_ms)
                for each in dead
            ],
        )
    )


async def requeue(call: Call) -> Response:
    body = decode(await read_body(call.request, MEMBERS_BYTES) or b"{}", RequeueBody)
    ids = None if body.ids is UNSET else body.ids
    if ids is not None and len(ids) > MOST_DEAD:
        raise Invalid(f"ids names {len(ids)} dead letters, expected at most {MOST_DEAD}")
    for each in ids or ():
        _check_id(each)
    return reply(RequeuedAnswer(requeued=await call.node.store.jobs.requeue(ids)))


def _check_id(given: str) -> None:
    shard, dot, at = given.partition(".")
    ms, dash, number = at.partition("-")
    if not (dot and dash and all(part.isascii() and part.isdigit() and len(part) < 20 for part in (shard, ms, number))):
        raise Invalid(f"id {given!a:.60} is not that of a dead letter, '<shard>.<ms>-<number>'")


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/v1/conversations/{cid}/me",
        who=Who.USER,
        about="What one wants to be notified of in a conversation while away. Answers the row.",
        run=set_own,
        body=PrefsBody,
        answers={200: RowAnswer},
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{uid}/unread",
        who=Who.USER,
        about="A user's unread messages in all: for a badge. For the user and servers.",
        run=unread,
        answers={200: UnreadAnswer},
    ),
    Endpoint(
        method="GET",
        path="/v1/offline",
        who=Who.SERVER,
        about="The offline notifications: how many conversations are due, being worked on, given up, and why.",
        run=offline,
        query=(LIMIT,),
        answers={200: OfflineAnswer},
    ),
    Endpoint(
        method="POST",
        path="/v1/offline/requeue",
        who=Who.SERVER,
        about="Give dead letters another chance: those with these ids, or all.",
        run=requeue,
        body=RequeueBody,
        answers={200: RequeuedAnswer},
    ),
)
