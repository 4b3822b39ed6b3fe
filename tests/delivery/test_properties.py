"""What holds whatever comes, in whatever order: the window, the tail, the session."""

from __future__ import annotations

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pushpull.delivery import client_frames
from pushpull.delivery.decisions import Close, Decision, Reply
from pushpull.delivery.session import Phase
from pushpull.delivery.tail import Tail
from pushpull.delivery.window import EXHAUSTED, NEVER, Redelivery, Window
from pushpull.model import Entry, Kind, seq_of
from pushpull.settings import Delivery
from tests.delivery.words import attached, entry, log_id, open_session, session

DELIVERY = Delivery(ack_wait_ms=1_000, backoff=2.0, max_deliver=3, max_ack_pending=20)

# ---------------------------------------------------------------------------------------------------- window


class AnyWindow(RuleBasedStateMachine):
    """A window against the plain account of what was sent, acked and waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(log_id(0))
        self.now = 0.0
        self.acked = self.sent = self.deliveries = 0
        self.deadline = NEVER

    @rule(seconds=st.floats(0, 5))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(-2, 5))
    def a_frame_is_sent(self, count: int) -> None:
        upto = self.sent + count
        self.window.extend(upto, log_id(max(0, upto)), now=self.now, settings=DELIVERY)
        if count > 0:
            self.sent = upto
            if not self.deliveries:
                self.deliveries, self.deadline = 1, self.now + 1.0

    @rule(count=st.integers(1, 5))
    def a_pull_is_answered(self, count: int) -> None:
        if not self.deliveries:
            self.sent += count
            self.window.hand(self.sent, log_id(self.sent))

    @rule(seq=st.integers(-3, 60))
    def an_ack_comes(self, seq: int) -> None:
        news = self.acked < seq <= self.sent
        assert self.window.ack(seq, now=self.now, settings=DELIVERY) is news
        if news:
            self.acked = seq
            waits = bool(self.deliveries) and self.acked < self.sent
            self.deliveries, self.deadline = (1, self.now + 1.0) if waits else (0, NEVER)

    @rule()
    def the_deadline_is_looked_at(self) -> None:
        due = self.window.redeliver(now=self.now, settings=DELIVERY)
        if self.now < self.deadline:
            assert due is None
        elif self.deliveries == 3:
            assert due is EXHAUSTED
        else:
            assert due == Redelivery(self.acked, self.sent, self.deliveries)
            self.deadline = self.now + 1.0 * 2.0**self.deliveries
            self.deliveries += 1

    @rule()
    def nobody_waits_any_more(self) -> None:
        self.window.forget_deadline()
        self.deliveries, self.deadline = 0, NEVER

    @rule(back=st.integers(0, 10))
    def the_log_diverges(self, back: int) -> None:
        self.acked = self.sent = max(0, self.sent - back)
        self.window.rewind(log_id(self.sent))
        self.deliveries, self.deadline = 0, NEVER

    @invariant()
    def it_is_the_plain_account(self) -> None:
        window = self.window
        assert (window.acked, window.sent) == (self.acked, self.sent)
        assert (window.delivery_count, window.deadline) == (self.deliveries, self.deadline)

    @invariant()
    def its_cursors_and_ids_agree(self) -> None:
        window = self.window
        assert seq_of(window.acked_id) <= window.acked <= window.sent
        assert len(window.marks or ()) <= window.outstanding
        assert [seq for seq, _ in window.marks or ()] == sorted({seq for seq, _ in window.marks or ()})
        assert all(window.acked < seq <= window.sent and seq_of(log_id) == seq for seq, log_id in window.marks or ())

    @invariant()
    def a_deadline_stands_only_while_something_is_outstanding(self) -> None:
        assert (self.window.deadline < NEVER) is (self.window.delivery_count > 0)
        assert self.window.outstanding or self.window.deadline == NEVER


TestAnyWindow = AnyWindow.TestCase
TestAnyWindow.settings = settings(max_examples=100, stateful_step_count=40)

# ---------------------------------------------------------------------------------------------------- tail


class AnyTail(RuleBasedStateMachine):
    """A tail against the log as a dict: whatever it answers is what the log holds."""

    @initialize(
        start=st.integers(0, 20), max_messages=st.integers(1, 12), max_bytes=st.sampled_from([200, 1_000, 10**6])
    )
    def stand(self, start: int, max_messages: int, max_bytes: int) -> None:
        self.log: dict[int, Entry] = {}
        self.bodies: dict[int, tuple[bytes, int | None]] = {}  # seq → latest body, the edit it is of
        self.edits: dict[int, list[int]] = {}
        self.head, self.first, self.floor = start, start + 1, 1
        self.tail = Tail(log_id(start), max_messages=max_messages, max_bytes=max_bytes)

    @rule(count=st.integers(1, 4), gap=st.integers(0, 2))
    def messages_come(self, count: int, gap: int) -> None:
        """`gap` seqs in front of them were redacted before anyone here read them."""
        start = self.head + 1 + gap
        self._append([entry(seq, body=b'"%d"' % seq) for seq in range(start, start + count)])

    @rule(ref=st.integers(1, 40), kind=st.sampled_from([Kind.EDIT, Kind.REDACT]))
    def one_is_edited_or_redacted(self, ref: int, kind: Kind) -> None:
        known = self.log.get(ref)
        if ref > self.head or (known is not None and known.kind != Kind.MESSAGE):
            return
        seq = self.head + 1
        self._append([entry(seq, kind=kind, ref=ref, body=b'"edit %d"' % seq)])
        if kind == Kind.REDACT:
            for gone in (ref, *self.edits.pop(ref, [])):
                self.log.pop(gone, None)
        else:
            self.edits.setdefault(ref, []).append(seq)
            self.bodies[ref] = (b'"edit %d"' % seq, seq)

    @rule(up=st.integers(0, 6))
    def the_floor_rises(self, up: int) -> None:
        self.floor = self.tail.floor = max(self.floor, min(self.head + 1, self.floor + up))

    @rule(max_bytes=st.integers(0, 2_000))
    def memory_is_given_back(self, max_bytes: int) -> None:
        self.tail.shrink(max_bytes)

    @rule(after=st.integers(0, 60), limit=st.integers(1, 8), max_bytes=st.sampled_from([1, 300, 10**6]))
    def a_page_is_asked_for(self, after: int, limit: int, max_bytes: int) -> None:
        page = self.tail.page(after, limit=limit, max_bytes=max_bytes)
        if page is None:
            assert after > self.head or after < self.tail.base - 1
            return
        expected = [seq for seq in sorted(self.log) if seq > after and seq >= self.floor]
        shown = [json.loads(item) for item in page.items]
        assert [item["seq"] for item in shown] == expected[: len(shown)]
        assert len(shown) <= limit
        assert len(shown) <= 1 or sum(map(len, page.items)) <= max_bytes
        for item in shown:
            body, edit = self.bodies[item["seq"]]
            assert (item["body"], item.get("edited", {}).get("seq")) == (orjson.loads(body), edit)
        self._ends_well(page.upto, page.upto_id, expected, len(shown), limit, max_bytes)

    @invariant()
    def it_is_bounded_and_counts_right(self) -> None:
        if not hasattr(self, "tail"):
            return
        tail = self.tail
        assert (tail.head, tail.head_id) == (self.head, log_id(self.head))
        assert len(tail) == tail.head - tail.base + 1 <= tail.max_messages
        assert tail.bytes <= tail.max_bytes
        held = tail.page(tail.base - 1, limit=1_000, max_bytes=10**9)
        assert held is not None
        assert tail.bytes >= sum(map(len, held.items))
        assert sum(map(len, tail._edits.values())) <= len(tail)

    def _append(self, entries: list[Entry]) -> None:
        self.tail.extend(entries)
        for each in entries:
            self.log[each.seq] = each
            self.bodies[each.seq] = (each.body, None)
        self.head = entries[-1].seq

    def _ends_well(self, upto: int, upto_id: str, expected: list[int], shown: int, limit: int, max_bytes: int) -> None:
        if shown == len(expected):
            assert (upto, upto_id) == (self.head, log_id(self.head))
        else:
            assert (upto, upto_id) == (expected[shown - 1], log_id(expected[shown - 1]))
            assert shown == limit or max_bytes < 10**6


TestAnyTail = AnyTail.TestCase
TestAnyTail.settings = settings(max_examples=100, stateful_step_count=40)

# ---------------------------------------------------------------------------------------------------- session

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(10**30), 10**30),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["room", "__proto__", "\ud800", "5-9", "*", "delivered"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
NAMES = (
    "cid",
    "cmid",
    "rid",
    "t",
    "seq",
    "acks",
    "after",
    "before",
    "limit",
    "body",
    "kind",
    "quiet",
    "mentions",
    "ref",
)
FIELDS = st.dictionaries(st.sampled_from([*NAMES, "token", "device", "positions", "first_at", "__proto__"]), VALUES)
TYPES = st.sampled_from([*sorted(client_frames.KNOWN_TYPES), "nope", "focus"])
FRAMES = st.builds(lambda kind, fields: json.dumps({"type": kind, **fields}), TYPES, FIELDS)
GOOD = st.sampled_from(
    [
        '{"type":"ack","acks":{"room":3,"other":1}}',
        '{"type":"pull","cid":"room","after":0}',
        '{"type":"send","cid":"room","cmid":"m","body":{}}',
        '{"type":"ping"}',
    ]
)
TEXTS = st.one_of(FRAMES, GOOD, st.text(max_size=40), st.binary(max_size=40), VALUES.map(json.dumps))


def check(decisions: list[Decision]) -> None:
    assert all(isinstance(decision, Decision) for decision in decisions)
    for decision in decisions:
        if isinstance(decision, Reply):
            assert orjson.loads(decision.data)["type"] in {"error", "pong", "ping"}


@given(st.lists(TEXTS, max_size=12))
@settings(max_examples=300)
def test_an_open_session_takes_anything_and_answers_with_decisions(texts: list[str | bytes]) -> None:
    opened = open_session()
    attached(opened, sent=5)
    for at, text in enumerate(texts):
        decisions = opened.receive(text, float(at))
        check(decisions)
        assert opened.phase is Phase.OPEN
        tick = opened.tick(float(at))
        assert tick is None or isinstance(tick, Reply)


@given(st.lists(st.one_of(TEXTS, st.just('{"type":"hello","device":"d"}')), max_size=6))
@settings(max_examples=300)
def test_after_a_close_nothing_comes_out_any_more(texts: list[str | bytes]) -> None:
    new = session()
    closed = False
    for at, text in enumerate(texts):
        decisions = new.receive(text, at / 10)
        check(decisions)
        assert not (closed and decisions)
        closed |= any(isinstance(decision, Close) for decision in decisions)
        assert closed is (new.phase is Phase.CLOSED)
    assert new.tick(1e9) is None or not closed
