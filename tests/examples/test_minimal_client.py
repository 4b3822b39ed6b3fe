"""The client in one file, against the cases that every client is held to, and against a service."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushpull.client import Server
from tests import conformance
from tests.conformance import WELCOME, Case, Trace
from tests.docs.blocks import ROOT
from tests.e2e.service import API_KEY, ServiceProcess, token_of

FILE = ROOT / "examples" / "minimal_client.py"
CLIENT = runpy.run_path(str(FILE))
RECONNECTING = conformance.read("reconnecting")

LEFT_OUT = {
    "sessions: the next session goes on from what was taken": "its owner is never slower than its line",
    "sessions: a message is acked once its taker asks for the next": "its owner is never slower than its line",
    "sessions: a device that takes nothing lets messages lie and pulls them when there is room": "the same",
    "resets: a reset drops what was received and not taken yet": "the same",
    "deleted: what was received of a deleted conversation and not taken yet moves no place in the next one": "the same",
    "sending: a send that is too old is looked for, and settled where it is found": "it is given up",
    "sending: a send that is too old and not there goes out under a new cmid, in its old place": "it is given up",
    "notices: unread follows the count of notices": "it counts nothing",
    "notices: unread counts what is pushed and not quiet": "it counts nothing",
}
"""What the client does not do, as it says itself. Besides, all that is about the screen."""

TOLD = {"message", "reset", "notice", "cursors", "receipt", "signal", "conversation", "refused"}


class Player:
    """Plays a case to a device."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._device = CLIENT["Device"](self._on_event, dict(setup.get("positions", {})), lambda: 0.5)
        self._now = 0.0
        self._rids: dict[str, Any] = {}
        self._happened: dict[str, Any] = {}

    def play(self, case: Case) -> Trace:
        return [self._step(step) for step in case["steps"]]

    def _step(self, step: dict[str, Any]) -> dict[str, Any]:
        device = self._device
        self._happened = {"hello": {}, "out": [], "events": [], "settled": [], "look_up": []}
        self._pass_time(step.get("at", self._now))
        if "open" in step:
            self._happened["hello"] = {"positions": dict(device.positions)}
            device.opened({**WELCOME, **step["open"]}, self._now)
        elif "in" in step:
            for frame in step["in"] if isinstance(step["in"], list) else [step["in"]]:
                rid = frame.get("rid", "")
                known = {"rid": self._rids[rid.removeprefix("rid of ")]} if rid.startswith("rid of ") else {}
                device.receive({**frame, **known}, self._now)
        elif "close" in step:
            device.closed(self._now)
        elif step.get("call") == "background":
            self._say(at_once=True)
        elif "call" in step:
            getattr(device, step["call"])(**step["with"])
        if device.open:
            self._say()
        held = {cid: {"head": each.head, "floor": each.floor} for cid, each in device.conversations.items()}
        return {**self._happened, "positions": dict(device.positions), "conversations": held}

    def _pass_time(self, until: float) -> None:
        while self._device.open and self._device.next_at() <= until:
            self._now = max(self._device.next_at(), self._now)
            self._say()
        self._now = until

    def _say(self, *, at_once: bool = False) -> None:
        for frame in self._device.frames(self._now, at_once=at_once):
            self._rids[frame["type"]] = frame.get("rid")
            self._happened["out"].append(frame)

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "settled":
            self._happened["settled"].append({name: event[name] for name in event if name not in ("type", "cid")})
        else:
            assert event["type"] in TOLD
            self._happened["events"].append(event)


def is_played(name: str) -> bool:
    return name not in LEFT_OUT and not name.startswith("screen: ")


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in conformance.flows() if is_played(name)])
def test_the_minimal_client_does_as_every_client_does(case: Case) -> None:
    assert conformance.differences(case, Player(case.get("setup", {})).play(case)) == []


@pytest.mark.parametrize("case", RECONNECTING["closes"], ids=lambda case: str(case["code"]))
def test_it_follows_a_close_code_as_every_client_does(case: Case) -> None:
    assert CLIENT["after_close"](case["code"]) == case["then"]


def test_it_waits_below_a_ceiling_that_doubles() -> None:
    assert [CLIENT["backoff_s"](failures, 0.5) for failures in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


class Terminal:
    """The client as somebody starts it, with a file that it keeps."""

    def __init__(self, url: str, state: Path, token: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FILE), "--url", url, "--to", "tea", "--state", str(state)],
            env={**os.environ, "TOKEN": token or token_of("alice")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def ended(self) -> int:
        return self._process.wait(timeout=20)

    def leave(self) -> str:
        """End of input; what it still prints."""
        return self._process.communicate(timeout=20)[0]


def test_it_goes_on_over_a_service_that_is_killed_and_over_its_own_end(redis_url: str, tmp_path: Path) -> None:
    service, state = ServiceProcess(tmp_path, redis_url), tmp_path / "alice.json"
    service.start()
    try:
        with Server(service.url, API_KEY) as server:
            server.put_conversation("tea", members=["alice", "bob"])
            alice = Terminal(service.url, state)
            alice.type("Is the kettle on?")
            assert alice.line() == 'tea 1 alice: {"text": "Is the kettle on?"}'
            service.kill()
            alice.type("Hello?")
            service.start()
            assert alice.line() == 'tea 2 alice: {"text": "Hello?"}'
            server.send("tea", "It is", sender="bob")
            assert alice.line() == 'tea 3 bob: "It is"'
            assert alice.leave() == ""

            server.send("tea", "Milk?", sender="bob")
            again = Terminal(service.url, state)
            assert again.line() == 'tea 4 bob: "Milk?"'
            assert again.leave() == ""
            assert [message.seq for message in server.messages("tea")] == [1, 2, 3, 4]

            refused = Terminal(service.url, state, token_of("alice", exp=1))
            assert refused.line() == "closed with 4401"
            assert refused.ended() == 0, "although somebody might still type"
            refused.leave()
    finally:
        service.kill()


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    assert LEFT_OUT.keys() <= {name for name, _ in conformance.flows()}


def test_the_guide_counts_the_cases_and_those_left_out() -> None:
    played = [name for name, _ in conformance.flows() if is_played(name)]
    page = (ROOT / "docs" / "clients.md").read_text()

    assert f"has {len(conformance.flows())} cases as JSON" in page
    assert len(conformance.flows()) - len(played) == 15
    assert "the minimal one leaves out fifteen" in page
