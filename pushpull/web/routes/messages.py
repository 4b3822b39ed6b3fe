"""Messages: send one or many, read pages, redact."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from pushpull.delivery.client_frames import PULL_MAX
from pushpull.delivery.drafts import draft, redaction
from pushpull.errors import Invalid, PushpullError
from pushpull.model import Draft, Sent, check_cid
from pushpull.node.spans import Spans, now_ns
from pushpull.web.answers import HistoryPage, MessagesPage, OutcomeAnswer, SentAnswer
from pushpull.web.bodies import BATCH_BYTES, BATCH_MAX, SMALL_BYTES, BatchItem, SendBody, decode, read_body
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Whole
from pushpull.web.problems import problem_of
from pushpull.web.traceparent import is_sampled

PATH = "/v1/conversations/{cid}/messages"
MENTION_BYTES = 140  # one uid of 128 characters with its quotes and comma

AFTER = Whole("after", "forward: the messages above this seq")
BEFORE = Whole("before", "backward: the messages below this seq", least=1)
LIMIT = Whole("limit", "messages on the page, delivery.page_limit unless said", least=1, most=PULL_MAX)


async def send(call: Call) -> Response:
    cid, limits = call.cid, call.node.settings.limits
    bound = limits.body_bytes + limits.mentions * MENTION_BYTES + SMALL_BYTES
    body = decode(await read_body(call.request, bound), SendBody)
    sender = call.caller.sender(body.sender)
    call.check_send()
    begun_ns = now_ns()
    sent = await call.node.send(draft(body, cid=cid, sender=sender, own=not call.caller.is_server, limits=limits))
    if call.node.parts.spans is not None and call.caller.is_server:
        _trace(call, call.node.parts.spans, sent, begun_ns)
    return reply(_sent(sent), 200 if sent.dup else 201)


def _trace(call: Call, spans: Spans, sent: Sent, begun_ns: int) -> None:
    """Let the trace that a server's call is part of point to that of the message. A user could ask for any number."""
    caller = call.request.headers.get("traceparent", "")
    if is_sampled(caller):
        spans.called(sent, caller, begun_ns)


async def send_many(call: Call) -> Response:
    items = decode(await read_body(call.request, BATCH_BYTES), list[msgspec.Raw])
    if len(items) > BATCH_MAX:
        raise Invalid(f"batch of {len(items)} messages is over the limit of {BATCH_MAX}")
    checked = [_checked(call, item) for item in items]
    outcomes = iter(await call.node.send_many([item for item in checked if isinstance(item, Draft)]))
    return reply([_outcome(item, next(outcomes)) if isinstance(item, Draft) else item for item in checked])


async def read_page(call: Call) -> Response:
    cid, query = call.cid, call.query
    after, before, limit = AFTER.read(query), BEFORE.read(query), LIMIT.read(query)
    if after is not None and before is not None:
        raise Invalid(f"after {after} and before {before} are both given, expected one of them")
    page = await call.node.page(
        cid,
        after=after,
        before=before,
        limit=limit or call.node.settings.delivery.page_limit,
        reader=call.caller.uid,
    )
    headers = {"ETag": page.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key"}
    if _is_held(call.request.headers.get("if-none-match", ""), page.etag):
        return Response(status_code=304, headers=headers)
    return Response(page.body, headers=headers, media_type="application/json")


async def redact(call: Call) -> Response:
    sender = call.caller.sender(None)
    call.check_send()
    sent = await call.node.send(redaction(call.cid, call.seq, sender=sender, own=not call.caller.is_server))
    return reply(_sent(sent))


def _checked(call: Call, item: msgspec.Raw) -> Draft | OutcomeAnswer:
    """One item of a batch, ready to be appended, or why it is not."""
    cid = cmid = None
    try:
        body = decode(item, BatchItem)
        cid, cmid = body.cid, body.cmid
        sender = call.caller.sender(body.sender)
        limits = call.node.settings.limits
        return draft(body, cid=check_cid(body.cid), sender=sender, own=False, limits=limits)
    except PushpullError as error:
        return OutcomeAnswer(cid=cid, cmid=cmid, error=problem_of(error))


def _outcome(item: Draft, outcome: Sent | PushpullError) -> OutcomeAnswer:
    if isinstance(outcome, PushpullError):
        return OutcomeAnswer(cid=item.cid, cmid=item.cmid, error=problem_of(outcome))
    return OutcomeAnswer(cid=outcome.cid, cmid=outcome.cmid, id=outcome.id, dup=outcome.dup)


def _sent(sent: Sent) -> SentAnswer:
    return SentAnswer(cid=sent.cid, cmid=sent.cmid, id=sent.id, dup=sent.dup)


def _is_held(if_none_match: str, etag: str) -> bool:
    """Whether the caller holds the page already: RFC 9110's weak comparison, over the list the header may be."""
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag.removeprefix("W/") in held or "*" in held


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=PATH,
        who=Who.USER,
        about="Send a message; the same cmid and content again gives the same id. For members and servers.",
        run=send,
        body=SendBody,
        answers={200: SentAnswer, 201: SentAnswer},
    ),
    Endpoint(
        method="GET",
        path=PATH,
        who=Who.USER,
        about="A page forward (`after`) or backward (`before`; neither: the newest). For members.",
        run=read_page,
        query=(AFTER, BEFORE, LIMIT),
        answers={200: MessagesPage | HistoryPage, 304: None},
    ),
    Endpoint(
        method="DELETE",
        path=PATH + "/{seq}",
        who=Who.USER,
        about="Redact a message: its entry goes, a quiet `redact` is appended. For its sender, moderators and servers.",
        run=redact,
        answers={200: SentAnswer},
    ),
    Endpoint(
        method="POST",
        path="/v1/messages",
        who=Who.SERVER,
        about="Send up to 1,000 messages; one result each, in order. A bad one fails alone.",
        run=send_many,
        body=list[BatchItem],
        answers={200: list[OutcomeAnswer]},
    ),
)
