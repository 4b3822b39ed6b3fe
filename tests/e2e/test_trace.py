"""`GET …/trace`: each state of a message that did not arrive, really brought about, asked at another node than the
user is connected to."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from pushpull.cli import main
from pushpull.delivery.findings import TODO
from pushpull.model import Role, SessionId, Uid
from pushpull.store.values import SessionRecord
from tests.e2e.conftest import Serve, ServeProcess
from tests.e2e.service import LocalService, Service, ServiceProcess
from tests.leaks import API_KEY, WORDS
from tests.receiver import SECRET, Receiver

Json = dict[str, Any]
BIG = WORDS + "x" * 1_000  # over inline_max_bytes: never rides along with a notice
OFF = "offline_off"

# The way of WebSocket frames has no part in this.
pytestmark = pytest.mark.parametrize("serve", ["direct"], indirect=True)


@pytest.fixture
async def one(serve: Serve) -> LocalService:
    return await serve()


@pytest.fixture
async def other(serve: Serve) -> LocalService:
    return await serve()


async def trace(service: LocalService, seq: int | None = 1, *, user: str = "bob", **asked: Any) -> Json:
    params = {"user": user, **({} if seq is None else {"seq": seq}), **asked}
    answer = await service.server.get("/v1/conversations/room/trace", params=params)
    assert answer.status_code == 200, answer.text
    assert WORDS not in answer.text
    found: Json = answer.json()
    return found


def codes(found: Json) -> list[str]:
    assert all(finding["todo"] == TODO[finding["code"]] for finding in found["verdict"])
    return [finding["code"] for finding in found["verdict"]]


async def until(service: LocalService, true: Callable[[Json], bool], **asked: Any) -> Json:
    """Ask until the answer is as expected."""
    async with asyncio.timeout(5):
        while not true(found := await trace(service, **asked)):
            await asyncio.sleep(0.02)
    return found


# ------------------------------------------------------------------------------------------------ the message


async def test_stored_acked_and_read(one: LocalService, other: LocalService) -> None:
    await one.room("room", "alice", "bob")
    bob = await other.device("bob")
    await one.post("room", "c1", sender="alice", mentions=["bob"])
    await bob.collect("room", 1)

    found = await until(one, lambda found: found["user"]["has_delivered"])

    assert codes(found) == ["delivered", OFF]
    message = found["message"]
    assert (message["from"], message["cmid"], message["kind"]) == ("alice", "c1", "message")
    assert (message["state"], message["mentioned"], message["quiet"]) == ("stored", True, False)
    await bob.say("read", cid="room", seq=1)
    found = await until(one, lambda found: found["user"]["has_read"])
    assert codes(found) == ["read"]


async def test_what_nobody_sent_and_what_is_not_there_yet(one: LocalService) -> None:
    await one.room("room", "alice", "bob")
    await one.post("room", "c1", sender="alice")

    never = await trace(one, None, cmid="c9")
    assert codes(never) == ["never_sent"]
    assert (never["message"]["searched"]["whole"], never["message"]["searched"]["from_seq"]) == (True, 1)
    assert codes(await trace(one, 2)) == ["not_yet"]


async def test_a_cmid_names_a_message_and_where_it_is_two_the_sender_does(one: LocalService) -> None:
    await one.room("room", "alice", "bob")
    await one.post("room", "c1", sender="alice")
    await one.post("room", "c1", sender="bob")
    await one.post("room", "c2")

    assert (await trace(one, None, cmid="c2"))["message"]["seq"] == 3
    assert (await trace(one, None, cmid="c1", **{"from": "bob"}))["message"]["seq"] == 2
    both = await one.server.get("/v1/conversations/room/trace", params={"user": "bob", "cmid": "c1"})
    assert both.status_code == 422
    assert both.json()["detail"] == "cmid 'c1' was used by alice, bob: name one of them as from"


async def test_redacted_though_it_was_delivered(one: LocalService, other: LocalService) -> None:
    await one.room("room", "alice", "bob")
    bob = await other.device("bob")
    log_id = await one.post("room", "c1", sender="alice")
    await bob.collect("room", 1)
    await one.server.delete("/v1/conversations/room/messages/1")

    found = await until(one, lambda found: found["user"]["has_delivered"])

    assert codes(found) == ["redacted", "delivered"]
    assert (found["message"]["id"], found["message"]["from"]) == (log_id, None)
    by_cmid = await trace(one, None, cmid="c1")
    assert (by_cmid["message"]["state"], by_cmid["message"]["seq"]) == ("redacted", 1)
    assert codes(await trace(one, None, cmid="c9")) == ["not_found"], "it might be the one that was redacted"


async def test_trimmed(serve: Serve) -> None:
    service = await serve(retention={"max_messages": 3})
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(1, 11))

    found = await trace(service, 7)
    assert codes(found) == ["trimmed"]
    assert (found["conversation"]["floor"], found["conversation"]["head"]) == (8, 10)


async def test_who_is_no_member_and_who_has_left(one: LocalService) -> None:
    await one.room("room", "alice", "bob")
    await one.post("room", "c1")
    await one.remove("room", "bob")

    assert codes(await trace(one, user="dave")) == ["not_a_member"]
    assert (await trace(one))["user"]["past"] == 1


@pytest.mark.parametrize(("history", "code"), [("joined", "joined_later"), ("all", "in_history")])
async def test_who_joined_later(one: LocalService, history: str, code: str) -> None:
    await one.room("room", "alice", history=history)
    await one.post("room", "c1")
    await one.join("room", "bob")
    await one.device("bob")

    assert codes(await trace(one)) == [code]


# ------------------------------------------------------------------------------------------------ sessions


async def test_sent_and_not_acked_on_another_node(one: LocalService, other: LocalService) -> None:
    await one.room("room", "alice", "bob")
    bob, tab = await other.device("bob"), await one.device("bob", "tab")
    await one.post("room", "c1")
    await bob.hear("messages")
    await tab.hear("messages")

    found = await trace(one)

    assert codes(found) == ["sent_unacked", "sent_unacked", OFF]
    there, here = found["sessions"]
    assert (there["device"], there["node"], here["node"]) == ("phone", other.node.id, one.node.id)
    for session in (there, here):
        window = session["place"]["window"]
        assert (session["known"], session["place"]["way"], session["place"]["mode"]) == ("answered", "pushed", "push")
        assert (window["first"], window["last"], window["delivery_count"]) == (1, 1, 1)
        assert 0 < window["deadline_ms"] <= 30_000
        assert abs(window["first_sent"] - time.time() * 1000) < 10_000
    assert found["silent_nodes"] == []


async def test_a_notice_was_not_followed(one: LocalService, other: LocalService) -> None:
    await one.room("room", "alice", "bob", mode="notify")
    bob = await other.device("bob")
    await one.post("room", "c1", BIG)
    await bob.hear("notice")

    found = await trace(one)
    assert codes(found) == ["noticed", OFF]
    place = found["sessions"][0]["place"]
    assert (place["way"], place["noticed"], place["why"]) == ("notified", 1, "the conversation's settings say notify")

    await bob.say("pull", cid="room", after=0)
    await bob.hear("messages")
    found = await trace(one)
    assert codes(found) == ["sent_unacked", OFF]
    assert found["sessions"][0]["place"]["window"]["deadline_ms"] is None


async def test_a_device_that_was_demoted(serve: Serve) -> None:
    one, other = [await serve(delivery={"max_windows": 1, "inline_max_bytes": 0}) for _ in range(2)]
    await one.room("room", "bob", "carol")
    bob, carol = await other.device("bob"), await other.device("carol")
    await one.post("room", "c1")
    await bob.hear("messages")
    await carol.hear("messages")
    await one.post("room", "c2")
    await bob.hear("notice")

    found = await trace(one, 2)

    assert codes(found) == ["demoted", OFF]
    place = found["sessions"][0]["place"]
    assert (place["way"], place["demoted"], place["why"]) == ("notified", True, "the session does not keep up")


async def test_a_message_that_waits_for_acks_of_those_before_it(serve: Serve) -> None:
    one, other = [await serve(delivery={"max_ack_pending": 1}) for _ in range(2)]
    await one.room("room", "bob")
    bob = await other.device("bob")
    await one.post("room", "c1")
    await bob.hear("messages")
    await one.post("room", "c2")

    found = await until(one, lambda found: codes(found)[0] == "behind", seq=2)
    assert found["sessions"][0]["place"]["catching_up"]


async def test_a_device_that_has_skipped_what_it_lacked(one: LocalService, other: LocalService) -> None:
    await one.room("room", "bob")
    await one.post_many("room", range(3))
    await other.device("bob", max_backlog=1)

    assert codes(await trace(one)) == ["past_it", OFF]


async def test_a_conversation_that_the_device_has_not_asked_for_yet(one: LocalService, other: LocalService) -> None:
    for number in range(100):
        await one.room(f"a{number:02}", "bob")
    await one.room("room", "bob")
    await other.device("bob")
    await one.post("room", "c1")

    assert codes(await trace(one)) == ["not_listed", OFF]


async def test_a_node_that_hangs_is_named_within_a_second_and_asked_again_it_answers(
    one: LocalService, serve_process: ServeProcess, talk: Callable[[ServiceProcess], Service]
) -> None:
    process = serve_process()
    await one.room("room", "bob")
    bob = await talk(process).device("bob")
    await one.post("room", "c1")
    await bob.hear("messages")

    process.signal(signal.SIGSTOP)
    begun = time.monotonic()
    found = await trace(one)
    assert 0.9 < time.monotonic() - begun < 5
    assert codes(found) == ["node_silent", OFF]
    (session,) = found["sessions"]
    assert (session["known"], found["silent_nodes"]) == ("silent", [session["node"]])

    process.signal(signal.SIGCONT)
    found = await until(one, lambda found: not found["silent_nodes"])
    assert codes(found) == ["sent_unacked", OFF]


def planted(node: str) -> SessionRecord:
    """A session of bob's phone that no node here holds."""
    now_ms = int(time.time() * 1000)
    return SessionRecord(
        id=SessionId("s1"), uid=Uid("bob"), device="phone", node=node, client="", connected_at_ms=now_ms
    )


# ------------------------------------------------------------------------------------------------ devices


async def test_who_never_connected(one: LocalService) -> None:
    await one.room("room", "bob")
    await one.post("room", "c1")

    assert codes(await trace(one)) == ["no_session", "never_connected", OFF]


async def test_a_device_that_left_before_and_did_not_come_back(one: LocalService, other: LocalService) -> None:
    await one.room("room", "bob")
    bob = await other.device("bob", client="app/7")
    await bob.leave()
    await until(one, lambda found: not found["sessions"])
    await asyncio.sleep(0.002)  # the next millisecond, at the least
    await one.post("room", "c1")

    found = await trace(one)

    assert codes(found) == ["no_session", "device_never_came_back", OFF]
    (device,) = found["devices"]
    assert (device["device"], device["state"], device["connected"]["client"]) == ("phone", "closed", "app/7")
    closed = device["closed"]
    assert (closed["code"], closed["by"], closed["node"]) == (1000, "device", other.node.id)
    assert device["connected"]["at"] <= closed["at"] <= found["message"]["ts"]


async def test_a_device_that_was_there_and_acked_nothing(serve: Serve) -> None:
    settings = {"ack_wait_ms": 150, "backoff": 1.0, "max_deliver": 3}
    one, other = [await serve(delivery=settings) for _ in range(2)]
    await one.room("room", "bob")
    bob = await other.device("bob")
    await one.post("room", "c1")
    await bob.closed()

    def noted(found: Json) -> bool:
        """Whether the last delivery is in the table, and the session off its own."""
        return [row["delivery_count"] for row in found["pending"]] == [3] and not found["sessions"]

    found = await until(one, noted)

    assert codes(found) == ["no_session", "device_was_there", "redelivered", OFF]
    assert found["devices"][0]["closed"]["reason"] == "no ack after 3 deliveries"
    (row,) = found["pending"]
    assert (row["device"], row["first"], row["last"]) == ("phone", 1, 1)


async def test_a_device_that_went_with_its_node(one: LocalService) -> None:
    await one.room("room", "bob")
    await one.node.store.presence.open_session(planted("n-dead"))
    await one.post("room", "c1")

    assert codes(await trace(one)) == ["no_session", "device_vanished", OFF]


# ------------------------------------------------------------------------------------------------ while away


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def webhook(receiver: Receiver, **settings: object) -> Json:
    return {"webhook_url": receiver.url, "webhook_secret": SECRET, "delay_s": 0.3, **settings}


async def test_who_is_away_is_going_to_be_notified(serve: Serve, receiver: Receiver) -> None:
    one = await serve(offline=webhook(receiver, delay_s=60))
    await one.room("room", "bob")
    await one.post("room", "c1")

    found = await until(one, lambda found: codes(found)[-1] == "notification_waiting")
    assert 0 < found["offline"]["due_at"] - found["message"]["ts"] <= 65_000


async def test_who_was_away_was_notified_once(serve: Serve, receiver: Receiver) -> None:
    one = await serve(offline=webhook(receiver))
    await one.room("room", "bob")
    await one.post("room", "c1")

    found = await until(one, lambda found: codes(found)[-1] == "notified")
    assert found["offline"]["told"] == 1
    await one.post("room", "c2")
    assert codes(await trace(one, 2))[-1] == "notified_before"


async def test_a_webhook_that_does_not_take_it_and_then_is_given_up(serve: Serve, receiver: Receiver) -> None:
    receiver.hold_s = 1.0
    receiver.answer = lambda calls: (400, {})
    one = await serve(offline=webhook(receiver, max_deliver=1))
    await one.room("room", "bob")
    await one.post("room", "c1")

    found = await until(one, lambda found: codes(found)[-1] == "notification_under_way")
    assert found["offline"]["event"].startswith("offline-")
    found = await until(one, lambda found: codes(found)[-1] == "notification_failed")
    assert [letter["tries"] for letter in found["offline"]["letters"]] == [1]


async def test_who_has_muted_the_conversation_is_not_notified(serve: Serve, receiver: Receiver) -> None:
    one = await serve(offline=webhook(receiver))
    await one.room("room", "bob")
    await one.user("bob").put("/v1/conversations/room/me", json={"notify": "none"})
    await one.post("room", "c1")

    assert codes(await trace(one))[-1] == "muted"
    assert codes(await trace(one, await quiet(one)))[-1] == "quiet"


async def quiet(service: LocalService) -> int:
    """The seq of a quiet message."""
    return int((await service.post("room", "quiet", quiet=True)).partition("-")[0])


# ------------------------------------------------------------------------------------------------ asked


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("user=bob", "one of seq and cmid is expected, to name the message"),
        ("user=bob&seq=1&cmid=c1", "one of seq and cmid is expected, to name the message"),
        ("seq=1", "user is not given: expected whom it did not arrive at"),
        ("user=bob&seq=0", "seq '0' is not a whole number from 1 to 9007199254740991"),
        ("user=bob&cmid=", "cmid '' of 0 characters is not 1 to 64 printable characters"),
    ],
)
async def test_what_cannot_be_asked_is_said(one: LocalService, query: str, detail: str) -> None:
    await one.room("room", "bob")
    answer = await one.server.get(f"/v1/conversations/room/trace?{query}")
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


async def test_the_command_says_it_to_people(one: LocalService) -> None:
    await one.room("room", "alice", {"user": "bob", "role": Role.READER})
    await one.post("room", "c1", sender="alice")
    words = ["why", "room", "1", "--user", "bob", "--url", one.url, "--api-key", API_KEY]

    said = await asyncio.to_thread(CliRunner().invoke, main, words)

    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[0] == "#1 in room, for bob"
    assert "no_session  bob is not connected" in lines
    assert "user: bob, reader, joined at 0, delivered 0, read 0" in lines
