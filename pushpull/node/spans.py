"""Spans of single messages, from the send to each node's devices: a span is made when its work is over.

Theory of operation. A message has no id before it is stored, so nothing can be begun at its send. What took place is
told afterwards, with the times at which it began and ended, under ids that every node reckons from the message itself
(delivery.trace_ids). All spans lie in that of the send:

    send      the node that took it, from taken to answered
    append    the pipeline that stored it
    heard     each node: from stored (Redis' clock) until its bell, or a read of the log, brought it
    deliver   each node and way of serving: from the first device to the last

Nothing is told for each frame or device. Where tracing is off there is no Spans, and all it costs is to see that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pushpull.delivery.trace_ids import Sample, root_id, trace_id
from pushpull.errors import PushpullError
from pushpull.model import Cid, LogId, Sent, seq_of, ts_of
from pushpull.node.feed import Feed
from pushpull.node.metrics import Metrics
from pushpull.store.values import Bell, LogRead, Ring

log = logging.getLogger(__name__)

ROUND_MAX: Final = 256
"""Messages of one round that are told of, the newest: a page holds no more by far, a round may be about thousands."""

LATE_MS: Final = 60_000
"""What is older when a round tells of it was delivered before: the round's devices came later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that took place. `span` 0: any id. `parent` 0: it is in no other. Times are ns since 1970.

    `caller`: a W3C traceparent, of the trace in which the span belongs; `trace` is then what it points to.
    """

    name: str
    trace: int
    span: int = 0
    parent: int = 0
    begun_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    caller: str = ""


class SpanSink(Protocol):
    """Where they go. Bounded: what cannot be taken is dropped, and nobody waits."""

    def put(self, span: Span) -> None: ...

    def close(self) -> None:
        """Send what waits, within a few seconds. Blocks."""


class Spans:
    """What a node tells of the messages it has to do with; of those that are kept."""

    def __init__(self, sink: SpanSink, *, share: float, cids: bool) -> None:
        """`share` of the messages (0 to 1) is told of; `cids`: by the ids of their conversations, too."""
        self._sink = sink
        self._sample = Sample(share)
        self._cids = cids
        self._about: dict[str, str | int] = {}
        self._metrics: Metrics | None = None
        self._failed = False

    def begin(self, node: str, metrics: Metrics) -> None:
        """Whose they are."""
        self._about = {"pushpull.node": node}
        self._metrics = metrics

    def close(self) -> None:
        self._sink.close()

    def sent(self, sent: Sent, waited_s: float) -> None:
        """A sender is being told that its message is stored."""
        trace = trace_id(sent.cid, sent.id)
        if sent.dup or not self._sample.keeps(trace):
            return
        now = now_ns()
        self._put("send", sent.cid, sent.id, trace, now - _ns(waited_s), now, root=True)

    def appended(self, outcomes: Sequence[Sent | PushpullError], begun_ns: int) -> None:
        """A pipeline has come back."""
        now = now_ns()
        for outcome in outcomes:
            if isinstance(outcome, Sent) and not outcome.dup:
                self._told("append", outcome.cid, outcome.id, begun_ns, now, {"pushpull.batch": len(outcomes)})

    def heard(self, rings: Iterable[Ring]) -> None:
        """These came in together."""
        now = now_ns()
        for ring in rings:
            if isinstance(ring, Bell):
                self._told("heard", ring.cid, ring.id, min(now, _stored_ns(ring.id)), now, {"pushpull.by": "bell"})

    def read(self, feed: Feed, read: LogRead) -> None:
        """The log was read for a feed, which has not taken it yet."""
        now = now_ns()
        for entry in read.entries:
            if entry.seq > feed.tail.head:
                self._told("heard", feed.cid, entry.id, min(now, _stored_ns(entry.id)), now, {"pushpull.by": "read"})

    def delivered(
        self, feed: Feed, after: int, upto: int, way: str, begun_ns: int, *, devices: int, handed: int | None = None
    ) -> None:
        """(after, upto] went out to those served in one way; `handed`: to how many of them, None: not counted."""
        now = now_ns()
        counts: dict[str, str | int] = {
            "pushpull.way": way,
            "pushpull.devices": devices,
            "pushpull.messages": upto - after,
        }
        if handed is not None:
            counts["pushpull.handed"] = handed
        for seq in range(max(after, upto - ROUND_MAX) + 1, upto + 1):
            log_id = feed.tail.id_of(seq)
            if log_id is not None and ts_of(log_id) > now // 1_000_000 - LATE_MS:
                self._told("deliver", feed.cid, log_id, begun_ns, now, counts)

    def called(self, sent: Sent, caller: str, begun_ns: int) -> None:
        """A server's call that is part of a trace of its own (`caller`, a traceparent) has stored this message."""
        trace = trace_id(sent.cid, sent.id)
        self._hand_on(
            Span(
                name="pushpull send",
                trace=trace,
                begun_ns=begun_ns,
                ended_ns=now_ns(),
                attributes=self._attributes(sent.cid, sent.id),
                caller=caller,
            )
        )

    def _told(
        self, name: str, cid: Cid, log_id: LogId, begun_ns: int, ended_ns: int, counts: Mapping[str, str | int]
    ) -> None:
        trace = trace_id(cid, log_id)
        if self._sample.keeps(trace):
            self._put(name, cid, log_id, trace, begun_ns, ended_ns, counts)

    def _put(
        self,
        name: str,
        cid: Cid,
        log_id: LogId,
        trace: int,
        begun_ns: int,
        ended_ns: int,
        counts: Mapping[str, str | int] | None = None,
        *,
        root: bool = False,
    ) -> None:
        first = root_id(trace)
        self._hand_on(
            Span(
                name=f"pushpull {name}",
                trace=trace,
                span=first if root else 0,
                parent=0 if root else first,
                begun_ns=begun_ns,
                ended_ns=ended_ns,
                attributes={**self._attributes(cid, log_id), **(counts or {})},
            )
        )

    def _attributes(self, cid: Cid, log_id: LogId) -> dict[str, str | int]:
        about = {**self._about, "pushpull.message": log_id, "pushpull.seq": seq_of(log_id)}
        return {**about, "pushpull.cid": cid} if self._cids else about

    def _hand_on(self, span: Span) -> None:
        """What cannot be told must not keep a message from its way."""
        try:
            self._sink.put(span)
        except Exception:
            level = logging.DEBUG if self._failed else logging.ERROR  # said once: it may be so for every message
            log.log(level, "a span could not be made", exc_info=True)
            self._failed = True
        else:
            if self._metrics is not None:
                self._metrics.spans.inc()


def now_ns() -> int:
    """By this node's clock, since 1970."""
    return time.time_ns()


def _stored_ns(log_id: LogId) -> int:
    return ts_of(log_id) * 1_000_000


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
