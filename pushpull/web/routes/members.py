"""Members: add, remove, list."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from pushpull.errors import BadRequest
from pushpull.web.answers import MemberAnswer, MembersAnswer, MembersChanged
from pushpull.web.bodies import MEMBERS_BYTES, MembersBody, checked_members, checked_uids, decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import MemberPlace, Whole

PATH = "/v1/conversations/{cid}/members"
PAGE_DEFAULT = 100

AFTER = MemberPlace("after", "`next` of the page before")
LIMIT = Whole("limit", f"rows on the page, {PAGE_DEFAULT} unless said", least=1, most=1_000)


async def change_members(call: Call) -> Response:
    cid = call.cid
    body = decode(await read_body(call.request, MEMBERS_BYTES), MembersBody)
    # Both lists are checked before either is acted on: a bad uid leaves everything as it was.
    remove, add = checked_uids(body.remove), checked_members(body.add)
    if not remove and not add:
        raise BadRequest("request body names nobody: expected 'add' or 'remove' with at least one user")
    await call.check_wanted()
    members = call.node.store.members
    changed = MembersChanged(added=0, updated=0, removed=0, members=0)
    if remove:
        counts = await members.remove(cid, remove)
        changed = msgspec.structs.replace(changed, removed=counts.removed, members=counts.members)
    if add:
        counts = await members.add(cid, add)
        changed = msgspec.structs.replace(changed, added=counts.added, updated=counts.updated, members=counts.members)
    return reply(changed)


async def list_members(call: Call) -> Response:
    cid = call.cid
    (after, joined), limit = AFTER.read(call.query), LIMIT.read(call.query)
    await call.require_member(cid)
    limit = limit or PAGE_DEFAULT
    rows = await call.node.store.members.page(cid, after=after, joined=joined, limit=limit)
    listed = [
        MemberAnswer(user=row.user, role=row.role.value, joined=row.joined, delivered=row.delivered, read=row.read)
        for row in rows
    ]
    # The place as well as the name: the page goes on there though that member may have left by then.
    following = f"{listed[-1].joined}~{listed[-1].user}" if len(listed) == limit else None
    return reply(MembersAnswer(members=listed, next=following))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=PATH,
        who=Who.SERVER,
        about="Remove and add members, in that order, up to 10,000 of each.",
        run=change_members,
        body=MembersBody,
        answers={200: MembersChanged},
    ),
    Endpoint(
        method="GET",
        path=PATH,
        who=Who.USER,
        about="The members with their roles and cursors, a page at a time. For members.",
        run=list_members,
        query=(AFTER, LIMIT),
        answers={200: MembersAnswer},
    ),
)
