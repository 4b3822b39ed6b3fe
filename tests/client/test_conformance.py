"""The Python client against the cases that every client is held to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushpull.client import events, frames
from pushpull.client.backoff import Backoff, after_close, drain_delay_s
from pushpull.client.core import Core
from pushpull.client.inbox import Inbox
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.client.rotation import Rotation
from pushpull.model import Cid, LogId, Sent
from tests import conformance
from tests.conformance import WELCOME, Case, Trace

KINDS = {
    events.Message: "message",
    events.Reset: "reset",
    events.CursorsMoved: "cursors",
    events.Receipt: "receipt",
    events.Signal: "signal",
    events.Changed: "conversation",
    events.Noticed: "notice",
    events.Refused: "refused",
}


class Player:
    """Plays a case to a core."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._inbox = Inbox(dict(setup.get("positions", {})), max_queued=setup.get("max_queued", 1000))
        self._core = Core(self._inbox, Outbox(), chance=lambda: 0.5)
        self._eager = setup.get("owner") != "slow"
        self._now = 0.0
        self._open = False
        self._happened: dict[str, Any] = {}
        self._rids: dict[str, Any] = {}
        self._expired: dict[str, Outgoing] = {}

    def play(self, case: Case) -> Trace:
        return [self._step(step) for step in case["steps"]]

    def _step(self, step: dict[str, Any]) -> dict[str, Any]:
        self._happened = {"hello": {}, "out": [], "events": [], "settled": [], "look_up": []}
        self._pass_time(step.get("at", self._now))
        if "open" in step:
            self._greet(step["open"])
        elif "in" in step:
            for frame in step["in"] if isinstance(step["in"], list) else [step["in"]]:
                self._receive(frame)
        elif "close" in step:
            self._open = False
            self._core.closed(now=self._now)
        elif "call" in step:
            getattr(self, f"_call_{step['call']}")(**step.get("with", {}))
        self._after()
        conversations = {cid: _plain(held) for cid, held in self._core.held.conversations.items()}
        return {**self._happened, "positions": dict(self._inbox.stored), "conversations": conversations}

    def _greet(self, welcome: dict[str, Any]) -> None:
        self._happened["hello"] = {**self._core.screen.hello(), "positions": dict(self._inbox.handed)}
        parsed = frames.parse(json.dumps({**WELCOME, **welcome}))
        assert isinstance(parsed, frames.Welcome)
        self._core.opened(parsed, now=self._now)
        self._open = True

    def _receive(self, frame: dict[str, Any]) -> None:
        rid = frame.get("rid", "")
        if rid.startswith("rid of "):
            frame = {**frame, "rid": self._rids[rid.removeprefix("rid of ")]}
        parsed = frames.parse(json.dumps(frame))
        if parsed is not None:
            self._core.receive(parsed, now=self._now)

    def _pass_time(self, until: float) -> None:
        while (at := self._core.next_at(now=self._now)) is not None and self._open and at <= until:
            self._now = max(at, self._now)
            self._pump()
        self._now = until

    def _after(self) -> None:
        if self._eager:
            self._call_take(count=1_000_000)
        for outgoing in self._core.expired:
            self._expired[outgoing.cmid] = outgoing
            self._happened["look_up"].append(outgoing.cmid)
        self._core.expired = []
        if self._open:
            self._pump()

    def _pump(self, *, at_once: bool = False) -> None:
        acks = self._core.ack(now=self._now, at_once=at_once)
        out = [{"type": "ack", "acks": acks}] if acks else []
        for frame in json.loads(f"[{','.join(map(frames.encode, out + self._core.outgoing(now=self._now)))}]"):
            self._rids[frame["type"]] = frame.get("rid")
            self._happened["out"].append(frame)

    def _call_take(self, count: int) -> None:
        for _ in range(count):
            self._core.settle(now=self._now)
            while (entry := self._inbox.take()) is not None and entry.event is None:
                self._core.settle(now=self._now)
            if entry is None:
                return
            self._happened["events"].append(_plain(entry.event))

    def _call_send(self, body: Any, mentions: tuple[str, ...] = (), **message: Any) -> None:
        outgoing = Outgoing(body=frames.encode_body(body), mentions=tuple(mentions), **message)
        outgoing.on_done = self._on_done
        self._core.outbox.add(outgoing)

    def _on_done(self, done: Outgoing) -> None:
        outcome = {"error": done.error.code} if done.error is not None else {}
        if done.result is not None:
            outcome = {"id": done.result.id, "dup": done.result.dup}  # type: ignore[dict-item]
        self._happened["settled"].append({"cmid": done.cmid, **outcome})

    def _call_found(self, cmid: str, id: str) -> None:
        outgoing = self._expired.pop(cmid)
        self._core.outbox.settle(outgoing, result=Sent(Cid(outgoing.cid), cmid, LogId(id), True))

    def _call_not_found(self, cmid: str, new_cmid: str) -> None:
        self._core.outbox.rename(self._expired.pop(cmid), new_cmid)

    def _call_read(self, cid: str, seq: int) -> None:
        self._core.read(cid, seq)

    def _call_signal(self, cid: str, body: Any) -> None:
        self._core.signals.say(cid, frames.encode_body(body))

    def _call_focus(self, cid: str | None, active: bool) -> None:
        self._core.show(cid, active=active)

    def _call_background(self) -> None:
        self._pump(at_once=True)


def _plain(value: Any) -> dict[str, Any]:
    """An event or a conversation as the cases name it."""
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if type(value) in KINDS:
        fields["type"] = KINDS[type(value)]
    if "sender" in fields:
        fields["from"] = fields.pop("sender")
    if "error" in fields:
        fields["code"] = fields.pop("error").code
    if fields.get("edited") is not None:
        fields["edited"] = {"seq": fields["edited"].seq, "ts": fields["edited"].ts}
    return fields


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in conformance.flows()])
def test_the_client_does_as_every_client_does(case: Case) -> None:
    trace = Player(case.get("setup", {})).play(case)

    assert conformance.differences(case, trace) == []


RECONNECTING = conformance.read("reconnecting")


@pytest.mark.parametrize("case", RECONNECTING["closes"], ids=lambda case: str(case["code"]))
def test_a_close_code_is_followed_as_every_client_does(case: Case) -> None:
    assert after_close(case["code"]).value == case["then"]


@pytest.mark.parametrize("case", RECONNECTING["waits"], ids=lambda case: case["name"])
def test_the_wait_before_the_next_dial(case: Case) -> None:
    backoff = Backoff()

    for step in case["steps"]:
        backoff.lived(step.get("lived", 0))
        assert backoff.next_delay_s(step["chance"]) == step["wait"]


@pytest.mark.parametrize("case", RECONNECTING["drains"])
def test_the_moment_to_leave_a_node_that_drains(case: Case) -> None:
    drain = frames.Drain(after_ms=case.get("after_ms", 0), jitter_ms=case.get("jitter_ms", 0))

    assert drain_delay_s(drain, case["chance"]) == case["wait"]


@pytest.mark.parametrize("case", RECONNECTING["nodes"], ids=lambda case: case["name"])
def test_the_next_node_is_tried_before_there_is_a_wait(case: Case) -> None:
    nodes = Rotation([f"ws://node-{number}" for number in range(case["nodes"])], lambda: 0.5)

    assert [nodes.failed(nodes.current) for _ in case["failures"]] == case["failures"]
