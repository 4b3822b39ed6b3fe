"""What a node tells of a message, and of which."""

from __future__ import annotations

import time

import pytest

from pushpull.delivery.trace_ids import root_id, trace_id
from pushpull.model import TAG_DIGEST_BITS, Cid, LogId, Sent
from pushpull.node.feed import Feed
from pushpull.node.metrics import Metrics
from pushpull.node.spans import ROUND_MAX, Span, Spans
from pushpull.settings import Delivery
from pushpull.store.values import LogRead
from tests.delivery.words import entry
from tests.node.fakes import bell, head

TEA = Cid("tea")


class Kept:
    """SpanSink that stay here."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def put(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None: ...


def log_id(seq: int, *, age_s: float = 0.0) -> LogId:
    return LogId(f"{seq}-{int((time.time() - age_s) * 1000) << TAG_DIGEST_BITS}")


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def spans(kept: Kept) -> Spans:
    spans = Spans(kept, share=1, cids=False)
    spans.begin("n-1", Metrics())
    return spans


def sent(seq: int, *, dup: bool = False) -> Sent:
    return Sent(TEA, "cmid", log_id(seq), dup)


def test_a_send_is_the_first_span_of_its_message(spans: Spans, kept: Kept) -> None:
    stored = sent(7)
    spans.sent(stored, 0.25)

    (span,) = kept.spans
    trace = trace_id(TEA, stored.id)
    assert (span.name, span.trace, span.span, span.parent) == ("pushpull send", trace, root_id(trace), 0)
    assert span.ended_ns - span.begun_ns == 250_000_000
    assert span.attributes == {"pushpull.node": "n-1", "pushpull.message": stored.id, "pushpull.seq": 7}


def test_what_was_stored_before_is_not_told_again(spans: Spans, kept: Kept) -> None:
    spans.sent(sent(7, dup=True), 0.1)
    spans.appended([sent(7, dup=True)], 1)

    assert kept.spans == []


def test_all_others_lie_in_that_of_the_send(spans: Spans, kept: Kept) -> None:
    stored = sent(1)
    spans.appended([stored, sent(2)], 5)

    assert [span.attributes["pushpull.batch"] for span in kept.spans] == [2, 2]
    assert kept.spans[0].parent == root_id(trace_id(TEA, stored.id))
    assert kept.spans[0].begun_ns == 5


def test_the_conversation_is_named_only_where_that_is_asked_for(kept: Kept) -> None:
    Spans(kept, share=1, cids=True).sent(sent(1), 0)

    assert kept.spans[0].attributes["pushpull.cid"] == TEA


def test_of_none_kept_nothing_is_told(kept: Kept) -> None:
    spans = Spans(kept, share=0, cids=False)
    spans.sent(sent(1), 0)
    spans.appended([sent(1)], 1)

    assert kept.spans == []


@pytest.fixture
def feed() -> Feed:
    """It stands at seq 3, of which it holds 2 and 3, a moment old."""
    feed = Feed(TEA, head(1, last_id=log_id(1)), Delivery())
    feed.tail.extend([entry(seq, id=log_id(seq)) for seq in (2, 3)])
    return feed


def test_a_bell_and_a_read_are_heard_since_the_message_was_stored(spans: Spans, kept: Kept, feed: Feed) -> None:
    rung, found = entry(4, id=log_id(4, age_s=2)), entry(5, id=log_id(5, age_s=3))
    spans.heard([bell(rung, prev=feed.tail.head_id)])
    spans.read(feed, LogRead(feed.head, (entry(3, id=log_id(3)), found)))

    assert [(span.attributes["pushpull.by"], span.attributes["pushpull.seq"]) for span in kept.spans] == [
        ("bell", 4),
        ("read", 5),
    ]
    assert [round((span.ended_ns - span.begun_ns) / 1e9, 1) for span in kept.spans] == [2, 3]


def test_a_clock_that_is_behind_redis_makes_no_span_that_ends_before_it_begins(spans: Spans, kept: Kept) -> None:
    ahead = entry(4, id=log_id(4, age_s=-60))
    spans.heard([bell(ahead, prev=LogId("3-1"))])

    assert kept.spans[0].begun_ns == kept.spans[0].ended_ns


def test_what_goes_out_is_told_once_a_message_with_how_many_had_it(spans: Spans, kept: Kept, feed: Feed) -> None:
    spans.delivered(feed, 1, 3, "pushes", 5, devices=9, handed=8)

    assert [span.attributes["pushpull.seq"] for span in kept.spans] == [2, 3]
    for span in kept.spans:
        told = {name.removeprefix("pushpull."): value for name, value in span.attributes.items()}
        assert (told["way"], told["devices"], told["handed"], told["messages"]) == ("pushes", 9, 8, 2)


def test_of_a_round_about_thousands_the_newest_are_told(spans: Spans, kept: Kept, feed: Feed) -> None:
    feed.tail.extend([entry(seq, id=log_id(seq)) for seq in range(4, 1004)])
    spans.delivered(feed, 3, 1003, "notices", 5, devices=1)

    assert [span.attributes["pushpull.seq"] for span in kept.spans] == list(range(1004 - ROUND_MAX, 1004))


def test_what_is_long_out_is_not_told_by_a_round_that_began_later(spans: Spans, kept: Kept) -> None:
    feed = Feed(TEA, head(0, last_id=LogId("0-0")), Delivery())
    feed.tail.extend([entry(1, id=log_id(1, age_s=120)), entry(2, id=log_id(2))])
    spans.delivered(feed, 0, 2, "notices", 5, devices=1)

    assert [span.attributes["pushpull.seq"] for span in kept.spans] == [2]


def test_a_sink_that_fails_is_said_once_and_keeps_nobody_from_going_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Kept):
        def put(self, span: Span) -> None:
            raise RuntimeError("broken")

    spans = Spans(Broken(), share=1, cids=False)
    metrics = Metrics()
    spans.begin("n-1", metrics)
    with caplog.at_level("INFO"):
        spans.sent(sent(1), 0)
        spans.sent(sent(2), 0)

    assert [record.message for record in caplog.records] == ["a span could not be made"]
    assert metrics.spans.value == 0
