"""For support: why a message did not arrive at a user, or that it did."""

from __future__ import annotations

from starlette.responses import Response

from pushpull.delivery.findings import judged
from pushpull.delivery.trace import Trace
from pushpull.model import EXACT_MAX, check_uid
from pushpull.web.endpoint import Call, Endpoint, Who, reply
from pushpull.web.parameters import Cmid, Name, Whole

USER = Name("user", "whom it did not arrive at", check_uid, required=True)
SEQ = Whole("seq", "the message, by its seq", least=1, most=EXACT_MAX)
CMID = Cmid("cmid", "the message, by what its sender's app called it; instead of seq")
FROM = Name("from", "with cmid: its sender; unless said, every member and the service are tried", check_uid)


async def trace(call: Call) -> Response:
    cid, query = call.cid, call.query
    user = USER.read(query)
    assert user is not None
    seq, cmid, sender = SEQ.read(query), CMID.read(query), FROM.read(query)
    facts = await call.node.tracer.trace(cid, user, seq=seq, cmid=cmid, sender=sender)
    return reply(judged(facts))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/conversations/{cid}/trace",
        who=Who.SERVER,
        about="What is known of one message and one user, and what follows: why it did not arrive, or that it did.",
        run=trace,
        query=(USER, SEQ, CMID, FROM),
        answers={200: Trace},
    ),
)
