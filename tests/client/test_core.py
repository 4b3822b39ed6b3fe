"""One device without a socket: single cases, and a random service on a random network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pushpull.client import frames
from pushpull.client.core import Core
from pushpull.client.events import Changed, Message, Refused, Reset
from pushpull.client.inbox import Inbox
from pushpull.client.outbox import Outbox, Outgoing
from tests.client.words import item, log_id, page, row

WELCOME = frames.Welcome(session="s1", user="bob", time=1_000_000, ack=frames.AckRule(delay_ms=100, max=10))


def core(positions: dict[str, str] | None = None, *, max_queued: int = 1000) -> Core:
    made = Core(Inbox(positions or {}, max_queued=max_queued), Outbox(), chance=lambda: 1.0)
    made.opened(WELCOME, now=0.0)
    return made


def listed(*rows: frames.Row, positions: dict[str, str] | None = None, max_queued: int = 1000) -> Core:
    made = core(positions, max_queued=max_queued)
    made.receive(frames.Sync(conversations=rows), now=0.0)
    return made


def take_all(device: Core) -> list[Any]:
    taken = []
    device.settle(now=0.0)
    while (entry := device.inbox.take()) is not None:
        if entry.event is not None:
            taken.append(entry.event)
        device.settle(now=0.0)
    return taken


def kinds(sent: list[dict[str, Any]]) -> list[Any]:
    return [frame["type"] for frame in sent]


def test_pushed_messages_are_handed_out_and_acked_once_stored():
    device = listed(row("0-0"))
    device.receive(page(0, 3), now=1.0)
    assert [message.seq for message in take_all(device)] == [1, 2, 3]
    assert device.ack(now=1.0) == {"c": 3}
    assert device.inbox.stored == {"c": "3-1"}


def test_nothing_is_acked_before_it_is_taken():
    device = listed(row("0-0"))
    device.receive(page(0, 3), now=1.0)
    assert device.ack(now=99.0) == {}


def test_a_notice_is_answered_with_a_pull():
    device = listed(row("3-1", head=3, mode="notify"), positions={"c": "3-1"})
    device.receive(frames.Notice(cid="c", head=5, count=5), now=1.0)
    (pull,) = device.outgoing(now=1.0)
    assert (pull["type"], pull["cid"], pull["after"]) == ("pull", "c", 3)
    assert device.held.conversations["c"].unread == 5


def test_a_notified_conversation_that_is_behind_is_pulled_from_its_row():
    device = listed(row("3-1", head=9, mode="notify"))
    assert kinds(device.outgoing(now=0.0)) == ["pull"]


def test_the_next_page_of_the_list_is_asked_for():
    device = core()
    device.receive(frames.Sync(conversations=(row("0-0"),), next="c"), now=0.0)
    assert device.outgoing(now=0.0) == [{"type": "sync", "after": "c", "rid": "again sync c"}]


def test_a_conversation_that_the_whole_list_lacks_was_left():
    device = listed(row("0-0"), positions={"gone": "5-1"})
    assert Changed("gone", "left") in take_all(device)
    assert "gone" not in device.inbox.stored


def test_after_a_cut_what_was_not_taken_comes_again_and_what_was_taken_does_not():
    device = listed(row("0-0"))
    device.receive(page(0, 3), now=1.0)
    device.inbox.take()
    device.closed(now=2.0)
    assert device.inbox.handed == {"c": "1-1"}
    device.opened(WELCOME, now=3.0)
    device.receive(frames.Sync(conversations=(row("1-1", head=3),)), now=3.0)
    device.receive(page(1, 3), now=3.0)
    assert [message.seq for message in take_all(device)] == [2, 3]


def test_a_redelivery_is_acked_at_once():
    device = listed(row("0-0"))
    device.receive(page(0, 3), now=1.0)
    take_all(device)
    device.ack(now=9.0)
    device.receive(page(0, 3, redelivery=1), now=10.0)
    assert device.next_at(now=10.0) == 10.0
    assert device.ack(now=10.0) == {"c": 3}
    assert take_all(device) == []


def test_a_full_inbox_leaves_messages_at_the_service_and_pulls_them_when_there_is_room():
    device = listed(row("0-0"), max_queued=4)
    device.receive(page(0, 4), now=1.0)
    device.receive(page(4, 6), now=1.0)
    assert device.outgoing(now=1.0) == []
    assert [message.seq for message in take_all(device)] == [1, 2, 3, 4]
    (pull,) = device.outgoing(now=2.0)
    assert pull["after"] == 4


def test_a_divergence_is_told_in_its_place_and_lost_messages_are_sent_again():
    device = listed(row("0-0"))
    device.outbox.add(Outgoing("c", "mine", frames.encode_body("hi")))
    device.outgoing(now=0.0)
    device.receive(frames.Stored(cid="c", cmid="mine", id="3-1"), now=0.0)
    device.receive(page(0, 3), now=1.0)
    device.receive(frames.Reset(cid="c", reason="diverged", pos="1-1", epoch="2", head=2, floor=1), now=2.0)
    told = take_all(device)
    assert [type(event) for event in told] == [Message, Reset]
    assert device.inbox.stored == {"c": "1-1"}
    (again,) = device.outgoing(now=2.0)
    assert again["cmid"] == "mine"


def test_what_was_sent_and_lost_above_where_the_device_stands_is_sent_again():
    """It was confirmed, and had not come back in `messages`: the device holds nothing that is gone."""
    for live in (True, False):
        device = listed(row("0-0"))
        device.receive(page(0, 1), now=0.0)
        device.outbox.add(Outgoing("c", "mine", frames.encode_body("hi")))
        device.outgoing(now=0.0)
        device.receive(frames.Stored(cid="c", cmid="mine", id="3-1"), now=0.0)
        take_all(device)
        if live:
            device.receive(frames.Reset(cid="c", reason="diverged", pos="1-1", epoch="2", head=2, floor=1), now=2.0)
        else:
            device.closed(now=1.0)
            device.opened(WELCOME, now=2.0)
            device.receive(frames.Sync(conversations=(row("1-1", head=2, epoch="2"),)), now=2.0)
        sends = [frame for frame in device.outgoing(now=2.0) if frame["type"] == "send"]
        assert [frame["cmid"] for frame in sends] == ["mine"]


def test_a_reset_and_the_row_that_says_the_same_are_one_event():
    for first_row in (True, False):
        device = core({"c": "9-1"})
        said = [
            frames.Sync(conversations=(row("4-1", head=6, epoch="2"),)),
            frames.Reset(cid="c", reason="diverged", pos="4-1", epoch="2", head=6, floor=1),
        ]
        for frame in said if first_row else reversed(said):
            device.receive(frame, now=0.0)
        (reset,) = take_all(device)
        assert (reset.reason, reset.pos) == ("diverged", "4-1")


def test_a_floor_below_where_the_device_stands_by_now_sends_it_nowhere():
    """Frames that were on their way have carried it past what is gone."""
    device = listed(row("0-0"))
    device.receive(page(0, 5), now=1.0)

    device.receive(frames.Reset(cid="c", reason="trimmed", pos="3-0", epoch="1", head=7, floor=4), now=1.0)
    device.receive(page(3, 7), now=1.0)

    assert [message.seq for message in take_all(device)] == [1, 2, 3, 4, 5, 6, 7]


def test_after_a_reset_a_pull_from_before_it_holds_nothing_up():
    device = listed(row("3-1", head=9, mode="notify"), positions={"c": "3-1"})
    assert [frame["after"] for frame in device.outgoing(now=0.0)] == [3]

    device.receive(frames.Reset(cid="c", reason="trimmed", pos="6-0", epoch="1", head=9, floor=7), now=0.0)

    assert [frame["after"] for frame in device.outgoing(now=0.0)] == [6]


def test_a_refused_pull_is_tried_again_later_when_that_helps():
    device = listed(row("3-1", head=9, mode="notify"))
    (pull,) = device.outgoing(now=0.0)
    device.receive(
        frames.Refusal(code="rate_limited", temporary=True, cid="c", retry_after_ms=3000, rid=pull["rid"]), now=1.0
    )
    assert device.outgoing(now=3.9) == []
    assert kinds(device.outgoing(now=4.0)) == ["pull"]


def test_a_refused_read_is_told():
    device = listed(row("0-0"))
    device.receive(frames.Refusal(code="invalid", message="seq 9 is past the head 0", cid="c"), now=1.0)
    (refused,) = take_all(device)
    assert isinstance(refused, Refused)
    assert refused.error.code == "invalid"


def test_a_read_that_a_cut_may_have_swallowed_is_said_again():
    device = listed(row("5-1", head=5))
    device.read("c", 5)
    assert kinds(device.outgoing(now=0.0)) == ["read"]
    device.closed(now=1.0)
    device.opened(WELCOME, now=2.0)
    device.receive(frames.Sync(conversations=(row("5-1", head=5, read=2),)), now=2.0)
    assert device.outgoing(now=2.0) == [{"type": "read", "cid": "c", "seq": 5, "rid": "again read c 5"}]


def test_a_read_waits_until_its_conversation_is_listed():
    device = core()
    device.read("c", 5)
    assert device.outgoing(now=0.0) == []
    device.receive(frames.Sync(conversations=(row("5-1", head=5),), next="c"), now=0.0)
    assert kinds(device.outgoing(now=0.0)) == ["sync", "read"]


def test_a_ping_is_answered_with_its_own_t():
    device = core()
    device.receive(frames.Ping(t=7), now=0.0)
    assert device.outgoing(now=0.0) == [{"type": "pong", "t": 7}]


def test_sends_wait_for_the_first_page_of_the_list():
    device = core()
    device.outbox.add(Outgoing("c", "m", frames.encode_body(1)))
    assert device.outgoing(now=1.0) == []
    device.receive(frames.Sync(conversations=(row("0-0"),), next="c"), now=1.0)
    assert kinds(device.outgoing(now=1.0)) == ["sync", "send"]


def test_sends_of_a_user_without_conversations_are_sent_to_be_refused():
    device = listed()
    device.outbox.add(Outgoing("c", "m", frames.encode_body(1)))
    assert kinds(device.outgoing(now=1.0)) == ["send"]


def test_first_at_is_in_the_service_s_time():
    device = listed(row("0-0"))
    device.outbox.add(Outgoing("c", "m", frames.encode_body(1)))
    device.outgoing(now=2.5)
    device.outbox.disconnected(now=3.0)
    (again,) = device.outgoing(now=3.5)
    assert again["first_at"] == 1_002_500


def test_what_is_sent_to_a_conversation_one_left_is_refused_without_a_retry():
    device = listed(row("0-0"))
    sent = Outgoing("c", "m", frames.encode_body(1))
    device.outbox.add(sent)
    device.outgoing(now=0.0)
    device.receive(frames.Refusal(code="not_a_member", cid="c", cmid="m"), now=0.0)
    assert sent.error is not None
    assert sent.error.code == "not_a_member"


class Service:
    """A log with all that can happen to it, and a lossy way to one device."""

    def __init__(self, *, mode: str, max_queued: int) -> None:
        self.log: dict[int, int] = {}  # seq -> tag
        self.redacted: set[int] = set()
        self.head = 0
        self.tag = 1
        self.epoch = 1
        self.mode = mode
        self.forks: list[tuple[int, int]] = []  # (seq the log went back to, the tag that was new then)
        self.device = Core(Inbox({"c": "0-0"}, max_queued=max_queued), Outbox(), chance=lambda: 1.0)
        self.held: dict[int, int] = {}
        self.now = 0.0
        self.connect()

    def id_of(self, seq: int) -> str:
        return log_id(seq, self.log[seq]) if seq else "0-0"

    def append(self) -> None:
        self.head += 1
        self.log[self.head] = self.tag

    def redact(self, seq: int) -> None:
        if 1 <= seq <= self.head:
            self.redacted.add(seq)

    def lose_tail(self, back: int) -> None:
        """A failover: the newest `back` messages are gone, and others take their seqs."""
        fork = max(0, self.head - back)
        self.log = {seq: tag for seq, tag in self.log.items() if seq <= fork}
        self.redacted = {seq for seq in self.redacted if seq <= fork}
        self.head, self.tag, self.epoch = fork, self.tag + 1, self.epoch + 1
        self.device.receive(self.reset(fork), now=self.now)

    def reset(self, pos: int) -> frames.Reset:
        return frames.Reset(
            cid="c", reason="diverged", pos=self.id_of(pos), epoch=str(self.epoch), head=self.head, floor=1
        )

    def frame(self, after: int, upto: int) -> frames.Messages:
        items = tuple(item(seq, tag=self.log[seq]) for seq in range(after + 1, upto + 1) if seq not in self.redacted)
        return frames.Messages(cid="c", after=after, upto=upto, upto_id=self.id_of(upto), items=items, head=self.head)

    def push(self, after: int, size: int) -> None:
        if after < self.head:
            self.device.receive(self.frame(after, min(self.head, after + size)), now=self.now)

    def connect(self) -> None:
        """A new session: the device names its position, the service checks it."""
        self.device.closed(now=self.now)
        self.device.opened(WELCOME, now=self.now)
        named = self.device.inbox.handed["c"]
        seq, tag = (int(part) for part in named.split("-"))
        known = seq == 0 or self.log.get(seq) == tag
        while not known and seq > 0 and (seq > self.head or self.log[seq] > tag):
            seq -= 1
        start = min(seq, self.head)
        if self.id_of(start) != named:
            self.device.receive(self.reset(start), now=self.now)
        shown = row(self.id_of(start), head=self.head, mode=self.mode, epoch=str(self.epoch))
        self.device.receive(frames.Sync(conversations=(shown,)), now=self.now)

    def answer(self, *, size: int = 7, lose: bool = False) -> bool:
        """Serve what the device asks for; False when it asks for nothing."""
        pulls = [frame for frame in self.device.outgoing(now=self.now) if frame["type"] == "pull"]
        for pull in pulls:
            if not lose:
                after = min(pull["after"], self.head)
                self.device.receive(self.frame(after, min(self.head, after + size)), now=self.now)
        return bool(pulls)

    def consume(self, count: int) -> None:
        for _ in range(count):
            self.device.settle(now=self.now)
            entry = self.device.inbox.take()
            if entry is None:
                return
            if isinstance(entry.event, Reset):
                above = int(entry.event.pos.split("-")[0])
                self.held = {seq: tag for seq, tag in self.held.items() if seq <= above}
            elif isinstance(entry.event, Message):
                seq, tag = entry.event.seq, int(entry.event.id.split("-")[1])
                assert seq > max(self.held, default=0), f"{seq} came after {max(self.held, default=0)}"
                self.held[seq] = tag

    def play(self, step: str, number: int) -> None:
        steps: dict[str, Callable[[], object]] = {
            "append": lambda: [self.append() for _ in range(number)],
            "redact": lambda: self.redact(number),
            "push": lambda: self.push(number, 5),
            "push_tail": lambda: self.push(max(0, self.head - number), number),
            "notice": lambda: self.device.receive(frames.Notice(cid="c", head=self.head), now=self.now),
            "connect": self.connect,
            "answer": self.answer,
            "lose_answer": lambda: self.answer(lose=True),
            "lose_tail": lambda: self.lose_tail(number),
            "consume": lambda: self.consume(number),
        }
        steps[step]()

    def come_to_rest(self) -> None:
        self.device.receive(frames.Notice(cid="c", head=self.head, count=self.head), now=self.now)
        for _ in range(self.head + 20):
            self.now += 11.0  # past the patience with a lost pull
            self.consume(1000)
            self.answer()
        self.consume(1000)


@settings(max_examples=200)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 6)),
            st.tuples(st.just("redact"), st.integers(1, 30)),
            st.tuples(st.just("push"), st.integers(0, 30)),
            st.tuples(st.just("push_tail"), st.integers(1, 5)),
            st.tuples(st.sampled_from(["notice", "connect", "answer", "lose_answer"]), st.just(0)),
            st.tuples(st.just("lose_tail"), st.integers(1, 4)),
            st.tuples(st.just("consume"), st.integers(1, 9)),
        ),
        max_size=60,
    ),
    mode=st.sampled_from(["push", "notify"]),
    max_queued=st.sampled_from([4, 1000]),
)
def test_through_losses_repeats_disorder_cuts_and_failovers_the_device_holds_exactly_the_log(
    steps: list[tuple[str, int]], mode: str, max_queued: int
):
    service = Service(mode=mode, max_queued=max_queued)
    for step, number in steps:
        service.now += 0.05
        service.play(step, number)
    service.come_to_rest()
    held = {seq: tag for seq, tag in service.held.items() if seq not in service.redacted}
    assert held == {seq: tag for seq, tag in service.log.items() if seq not in service.redacted}
    assert service.device.inbox.stored["c"] == service.id_of(service.head)


def test_a_read_and_a_list_page_refused_for_now_are_said_again_when_told_to():
    device = core()
    device.receive(frames.Sync(conversations=(row("5-1", head=5),), next="c"), now=0.0)
    device.read("c", 5)
    device.ack(now=0.0, at_once=True)
    sync, read = device.outgoing(now=0.0)
    for said in (sync, read):
        device.receive(
            frames.Refusal(code="rate_limited", message="over the rate", rid=said["rid"], retry_after_ms=300),
            now=1.0,
        )

    assert device.outgoing(now=1.2) == []
    assert device.next_at(now=1.2) == 1.3
    assert device.outgoing(now=1.3) == [sync, read]


# ------------------------------------------------------------------------------------------------ signals, receipts


def test_a_signal_goes_out_once():
    device = listed(row("0-0"))
    device.signals.say("c", "typing")
    assert device.outgoing(now=1.0) == [{"type": "signal", "cid": "c", "body": "typing", "rid": "signal"}]
    assert device.outgoing(now=1.0) == []


def test_a_signal_where_no_session_listed_the_conversation_is_forgotten():
    device = listed(row("0-0"))
    device.signals.say("elsewhere", 1)
    device.signals.say("c", 1)
    device.closed(now=1.0)
    device.signals.say("c", 2)
    device.opened(WELCOME, now=2.0)
    device.receive(frames.Sync(conversations=(row("0-0"),)), now=2.0)
    assert device.outgoing(now=2.0) == []


def test_of_signals_said_too_fast_the_newest_go_out():
    device = listed(row("0-0"))
    for number in range(20):
        device.signals.say("c", number)
    assert [frame["body"] for frame in device.outgoing(now=1.0)] == list(range(4, 20))


def test_a_signal_that_was_refused_for_the_moment_is_passed_over_and_one_that_may_not_be_is_told():
    device = listed(row("0-0"))
    device.receive(frames.Refusal(code="rate_limited", temporary=True, cid="c", rid="signal"), now=1.0)
    assert take_all(device) == []
    device.receive(frames.Refusal(code="not_allowed", cid="c", rid="signal"), now=1.0)
    (refused,) = take_all(device)
    assert (refused.cid, refused.error.code) == ("c", "not_allowed")


def test_signals_and_receipts_leave_half_of_the_inbox_to_messages():
    device = listed(row("0-0"), max_queued=4)
    for number in range(5):
        device.receive(frames.Signal(cid="c", sender="ann", body=number), now=1.0)
        device.receive(frames.Receipt(cid="c", user="ann", delivered=number, read=0), now=1.0)
    device.receive(page(0, 1), now=1.0)
    assert [type(event).__name__ for event in take_all(device)] == ["Signal", "Receipt", "Signal", "Message"]
