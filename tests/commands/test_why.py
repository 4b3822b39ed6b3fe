"""`pushpull why`: what it asks, what it prints, how it ends."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from pushpull.delivery.findings import judged
from pushpull.delivery.trace import Facts
from tests.commands.test_talking import Api, Run, api, ok, problem, run  # noqa: F401 - fixtures of these tests, too
from tests.delivery.test_findings import FACTS, STORED, WINDOW, device, message, place, session
from tests.delivery.test_findings import PendingFacts as Pending

LINE = "GET /v1/conversations/room/trace"
ASKED = ("why", "room", "57", "--user", "bob")


def answer(facts: Facts = FACTS) -> object:
    return msgspec.to_builtins(judged(facts))


def test_it_says_the_verdict_what_to_do_and_what_it_rests_on(run: Run, api: Api):  # noqa: F811
    row = Pending(
        device="phone", session="s0", first=55, last=58, delivery_count=4, first_sent=STORED, last_sent=STORED
    )
    facts = msgspec.structs.replace(
        FACTS,
        sessions=[session(place(sent=60, window=WINDOW)), session(None, device="tab", known="silent", buffered=None)],
        devices=[device(closed=STORED)],
        pending=[row],
    )
    api.on(LINE, ok(answer(facts)))

    result = run(*ASKED)

    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "#57 in room, for bob"
    assert lines[2].startswith("sent_unacked  device phone, connected since")
    assert lines[3].startswith("  Look at the device")
    assert "user: bob, member, joined at 3, delivered 50, read 40" in lines
    assert "conversation: 10 to 60, 2 members, push (2 members)" in lines
    tables = [line.split() for line in lines[lines.index("user: bob, member, joined at 3, delivered 50, read 40") :]]
    assert ["phone", "n1", "pushed", "50", "60", "1", "0"] in [row[:2] + row[-5:] for row in tables]
    assert ["tab", "n1", "silent", "-", "-", "-", "-"] in [row[:2] + row[-5:] for row in tables]
    assert ["phone", "closed"] in [row[:2] for row in tables]
    assert ["phone", "55", "58", "4"] in [row[:4] for row in tables]


def test_a_name_cannot_steer_the_terminal(run: Run, api: Api):  # noqa: F811
    steering = device(closed=STORED - 1)
    facts = msgspec.structs.replace(FACTS, devices=[msgspec.structs.replace(steering, device="\x1b[2J")])
    api.on(LINE, ok(answer(facts)))

    result = run(*ASKED)

    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "device \\x1b[2J was closed" in result.output


def test_a_message_is_asked_for_by_its_cmid(run: Run, api: Api):  # noqa: F811
    api.on(LINE, ok(answer(msgspec.structs.replace(FACTS, message=message(state="not_found", seq=None)))))

    result = run("why", "room", "--user", "bob", "--cmid", "c1", "--from", "alice")

    assert dict(api.requests[0].url.params) == {"user": "bob", "cmid": "c1", "from": "alice"}
    assert result.output.startswith("cmid c1 in room, for bob\n")
    assert "message: not_found" in result.output


def test_json_is_the_whole_answer(run: Run, api: Api):  # noqa: F811
    api.on(LINE, ok(answer()))
    result = run(*ASKED, "--json")
    assert orjson.loads(result.output) == answer()


def test_a_service_that_cannot_answer_is_status_1(run: Run, api: Api):  # noqa: F811
    api.on(LINE, problem(404, "no_such_conversation", "conversation room does not exist"))
    result = run(*ASKED)
    assert (result.exit_code, result.stderr) == (1, "error: conversation room does not exist\n")


@pytest.mark.parametrize(
    "words",
    [
        ("why", "room", "57"),
        ("why", "room", "--user", "bob"),
        ("why", "room", "57", "--user", "bob", "--cmid", "c1"),
        ("why", "room", "57", "--user", "bob", "--from", "alice"),
        ("why", "room", "0", "--user", "bob"),
    ],
)
def test_what_cannot_be_meant_is_status_2_and_not_asked(words: tuple[str, ...], run: Run, api: Api):  # noqa: F811
    assert run(*words).exit_code == 2
    assert api.requests == []
