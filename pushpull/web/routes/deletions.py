"""Users who ask to be forgotten: asked for here, carried out by whichever node comes to it first (node.deletions)."""

from __future__ import annotations

from starlette.responses import Response

from pushpull.store.deletions import Deletion, Messages
from pushpull.web.answers import Counted, DeletionAnswer
from pushpull.web.bodies import SMALL_BYTES, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Choice

PATH = "/v1/users/{uid}"

MESSAGES = Choice("messages", "what becomes of its messages", ("keep", "redact"))


async def delete_user(call: Call) -> Response:
    user = call.user
    messages: Messages = "redact" if MESSAGES.read(call.query) == "redact" else "keep"
    await read_body(call.request, SMALL_BYTES)
    await call.check_wanted()
    return reply(_answer(await call.node.store.deletions.ask(user, messages)), 202)


async def read_deletion(call: Call) -> Response:
    return reply(_answer(await call.node.store.deletions.get(call.user)))


def _answer(deletion: Deletion) -> DeletionAnswer:
    total = deletion.total
    return DeletionAnswer(
        user=deletion.user,
        state=deletion.state,
        messages=deletion.messages,
        conversations=Counted(0 if total is None else max(0, total - deletion.left), total),
        redacted=deletion.redacted,
        asked=deletion.asked_ms,
        started=deletion.started_ms,
        ended=deletion.ended_ms,
        error=deletion.error,
    )


ENDPOINTS = (
    Endpoint(
        method="DELETE",
        path=PATH,
        who=Who.SERVER,
        about="Delete a user: its sessions, memberships and all that is kept of it, and with `redact` its messages.",
        run=delete_user,
        query=(MESSAGES,),
        answers={202: DeletionAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH + "/deletion",
        who=Who.SERVER,
        about="How a user's deletion stands; for seven days after its end.",
        run=read_deletion,
        answers={200: DeletionAnswer},
    ),
)
