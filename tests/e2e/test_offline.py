"""Users who are away are told by the webhook: who, when, how often, and when not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService
from tests.receiver import SECRET, Receiver

DELAY_S = 0.3

# The way of WebSocket frames has no part in this.
pytestmark = pytest.mark.parametrize("serve", ["direct"], indirect=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def service(serve: Serve, receiver: Receiver) -> LocalService:
    return await serve(offline=webhook(receiver))


def webhook(receiver: Receiver, **settings: object) -> dict[str, object]:
    return {"webhook_url": receiver.url, "webhook_secret": SECRET, "delay_s": DELAY_S, **settings}


async def settled(service: LocalService) -> None:
    """Wait until nothing is due any more."""
    async with asyncio.timeout(10):
        while True:
            state = (await service.server.get("/v1/offline")).json()
            if not (state["due"] or state["waiting"] or state["pending"]):
                return
            await asyncio.sleep(0.05)


async def test_users_who_are_behind_are_told_once_whatever_the_number_of_messages(
    service: LocalService, receiver: Receiver
) -> None:
    await service.room("room", "alice", "bob", "carol")
    alice = service.user("alice")
    for n in range(5):
        await alice.post("/v1/conversations/room/messages", json={"cmid": str(n), "body": n, "mentions": ["bob"]})
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await settled(service)
    (data,) = receiver.taken.values()
    assert (data["cid"], data["head"]) == ("room", 5)
    assert sorted(data["users"], key=lambda user: user["user"]) == [
        {"user": "bob", "unread": 5, "mentioned": True},
        {"user": "carol", "unread": 5, "mentioned": False},
    ]
    assert (data["item"]["seq"], data["item"]["body"], data["item"]["from"]) == (5, 4, "alice")
    assert receiver.bodies[0]["type"] == "conversation.unread"
    assert receiver.headers[0]["content-type"] == "application/json"


async def test_more_news_do_not_tell_again_until_the_user_has_read_that_far(
    service: LocalService, receiver: Receiver
) -> None:
    await service.room("room", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await service.post("room", "2")
    await asyncio.sleep(DELAY_S)
    await settled(service)
    assert len(receiver.ids) == 1, "one is outstanding"

    await service.server.put("/v1/conversations/room/cursors/bob", json={"read": 2})
    await service.post("room", "3")
    await receiver.until(lambda seen: len(seen.ids) == 2)
    assert receiver.bodies[1]["data"]["users"] == [{"user": "bob", "unread": 1, "mentioned": False}]


async def test_reading_takes_a_notification_back_and_acking_does_not(service: LocalService, receiver: Receiver) -> None:
    await service.room("room", "bob", "carol")
    bob, carol = await service.device("bob"), await service.device("carol")
    await service.post("room", "1")
    await bob.hear("messages", upto=1)
    await bob.say("read", cid="room", seq=1)
    await carol.say("ack", acks={"room": 1})
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await settled(service)
    assert receiver.notified() == {"carol": 1}


async def test_who_reads_along_is_not_told_though_always_a_little_behind(serve: Serve, receiver: Receiver) -> None:
    service = await serve(offline=webhook(receiver, delay_s=1.0))
    await service.room("room", "bob", "carol")
    for n in range(1, 50):
        await service.post("room", str(n))
        await service.server.put("/v1/conversations/room/cursors/bob", json={"read": n - 1})
        await asyncio.sleep(0.03)
    await receiver.until(lambda seen: len(seen.ids) == 1)
    assert receiver.notified() == {"carol": 1}
    await receiver.until(lambda seen: "bob" in seen.notified())  # what he did not read at last


async def test_acking_takes_it_back_where_the_settings_say_so(serve: Serve, receiver: Receiver) -> None:
    service = await serve(offline=webhook(receiver, withdraw_by="delivered"))
    await service.room("room", "bob", "carol")
    bob = await service.device("bob")
    await service.post("room", "1")
    await bob.hear("messages", upto=1)
    await bob.say("ack", acks={"room": 1})
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await settled(service)
    assert receiver.notified() == {"carol": 1}


async def test_quiet_messages_ring_nobody(service: LocalService, receiver: Receiver) -> None:
    await service.room("room", "bob")
    await service.post("room", "1", quiet=True)
    assert (await service.server.get("/v1/offline")).json()["due"] == 0


async def test_a_large_conversation_tells_who_is_mentioned_unless_it_says_otherwise(
    service: LocalService, receiver: Receiver
) -> None:
    await service.room("large", "bob", "carol", mode="notify")
    await service.room("loud", "bob", "carol", mode="notify", offline="all")
    await service.room("silent", "bob", offline="none")
    for cid in ("large", "loud", "silent"):
        await service.post(cid, "1", mentions=["bob"])
    await receiver.until(lambda seen: len(seen.ids) == 2)
    await settled(service)
    told = {data["cid"]: sorted(user["user"] for user in data["users"]) for data in receiver.taken.values()}
    assert told == {"large": ["bob"], "loud": ["bob", "carol"]}


async def test_a_members_own_wishes_are_kept(service: LocalService, receiver: Receiver) -> None:
    await service.room("room", "bob", "carol", "dave", "erin")
    wishes = {
        "bob": {"notify": "none"},
        "carol": {"notify": "mentions"},
        "dave": {"mute_until": int(time.time() * 1000) + 60_000},
    }
    for uid, wish in wishes.items():
        row = (await service.user(uid).put("/v1/conversations/room/me", json=wish)).json()
        assert row["cid"] == "room"
        assert wish.items() <= row.items()
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    assert receiver.notified() == {"erin": 1}
    await service.post("room", "2", mentions=["carol"])
    await receiver.until(lambda seen: len(seen.ids) == 2)
    assert receiver.notified() == {"erin": 1, "carol": 1}
    unmuted = await service.user("dave").put("/v1/conversations/room/me", json={"mute_until": None})
    assert "mute_until" not in unmuted.json()
    row = await service.row("carol", "room")
    assert row["notify"] == "mentions"


async def test_a_redacted_or_large_message_does_not_come_along(serve: Serve, receiver: Receiver) -> None:
    service = await serve(offline=webhook(receiver))
    await service.room("redacted", "bob")
    await service.post("redacted", "1", "secret")
    await service.server.delete("/v1/conversations/redacted/messages/1")
    await service.room("large", "bob")
    await service.post("large", "1", "x" * 600)
    await receiver.until(lambda seen: len(seen.ids) == 2)
    assert ["item" in body["data"] for body in receiver.bodies] == [False, False]


async def test_users_are_told_in_batches_each_an_event_of_its_own(serve: Serve, receiver: Receiver) -> None:
    service = await serve(offline=webhook(receiver, batch=100))
    await service.room("room", *(f"u{n}" for n in range(250)), offline="all")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.taken) == 3)
    await settled(service)
    assert sorted(len(data["users"]) for data in receiver.taken.values()) == [50, 100, 100]
    assert set(receiver.notified().values()) == {1}
    assert len(receiver.notified()) == 250


async def test_the_badge_is_the_sum_over_all_conversations(service: LocalService) -> None:
    for n in range(3):
        await service.room(f"r{n}", "bob")
        for m in range(n):
            await service.post(f"r{n}", str(m), mentions=["bob"] if m == 0 else [])
    bob = service.user("bob")
    assert (await bob.get("/v1/users/me/unread")).json() == {"total": 3, "conversations": 2, "mentions": 2}
    assert (await service.server.get("/v1/users/nobody/unread")).json() == {
        "total": 0,
        "conversations": 0,
        "mentions": 0,
    }


# ------------------------------------------------------------------------------------------------ a bad receiver


async def test_a_receiver_that_stumbles_is_tried_again_under_the_same_id(
    service: LocalService, receiver: Receiver
) -> None:
    receiver.answer = lambda calls: (500, {}) if calls < 5 else (200, {})
    await service.room("room", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.taken) == 1)
    await settled(service)
    assert len(receiver.ids) == 5
    assert len(set(receiver.ids)) == 1
    assert receiver.notified() == {"bob": 1}


async def test_who_reads_while_the_receiver_is_down_is_not_told_when_it_is_back(
    service: LocalService, receiver: Receiver
) -> None:
    await receiver.close()
    await service.room("room", "bob", "carol")
    await service.post("room", "1")
    async with asyncio.timeout(10):
        while not (await service.server.get("/metrics")).text.count('offline_jobs_total{outcome="retried"}'):
            await asyncio.sleep(0.05)
    await service.server.put("/v1/conversations/room/cursors/bob", json={"read": 1})
    await receiver.open()
    await receiver.until(lambda seen: len(seen.taken) == 1)
    assert receiver.notified() == {"carol": 1}


async def test_a_receiver_that_asks_for_a_pause_gets_it(service: LocalService, receiver: Receiver) -> None:
    called: list[float] = []

    def answer(calls: int) -> tuple[int, dict[str, str]]:
        called.append(time.monotonic())
        return (429, {"retry-after": "2"}) if calls == 1 else (200, {})

    receiver.answer = answer
    await service.room("room", "bob")
    await service.room("other", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await service.post("other", "1")
    await receiver.until(lambda seen: len(seen.taken) == 2)
    assert called[1] - called[0] >= 1.9, "neither this notification nor another comes before"
    assert len(receiver.ids) == 3


async def test_a_slow_receiver_is_given_up_for_the_moment_and_the_same_event_comes_again(
    serve: Serve, receiver: Receiver
) -> None:
    service = await serve(offline=webhook(receiver, timeout_s=0.3))
    receiver.hold_s = 0.6
    await service.room("room", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    receiver.hold_s = 0.0
    await receiver.until(lambda seen: len(seen.ids) == 2)
    await settled(service)
    assert len(set(receiver.ids)) == 1
    assert receiver.notified() == {"bob": 1}


async def test_a_receiver_that_is_gone_is_not_called_again(
    service: LocalService, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda calls: (410, {})
    await service.room("room", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await service.post("room", "2")
    await asyncio.sleep(3 * DELAY_S)
    assert len(receiver.ids) == 1
    assert "pushpull_offline_stopped 1.0" in (await service.server.get("/metrics")).text
    said = [record.getMessage() for record in caplog.records if "410" in record.getMessage()]
    assert len(said) == 1
    assert "secret-in-the-url" not in said[0]


async def test_what_a_receiver_never_takes_is_a_dead_letter_and_can_be_requeued(
    serve: Serve, receiver: Receiver
) -> None:
    service = await serve(offline=webhook(receiver, max_deliver=1))
    receiver.answer = lambda calls: (404, {})
    await service.room("room", "bob")
    await service.post("room", "1")
    await receiver.until(lambda seen: len(seen.ids) == 1)
    await settled(service)
    state = (await service.server.get("/v1/offline")).json()
    assert state["dead"] == 1
    (letter,) = state["letters"]
    assert (letter["cid"], letter["why"]) == ("room", "the receiver answered 404")

    receiver.answer = lambda calls: (200, {})
    assert (await service.server.post("/v1/offline/requeue", json={"ids": [letter["id"]]})).json() == {"requeued": 1}
    await receiver.until(lambda seen: len(seen.taken) == 1)
    await settled(service)
    assert (await service.server.get("/v1/offline")).json()["dead"] == 0
    assert receiver.notified() == {"bob": 1}


async def test_redirects_are_not_followed(serve: Serve, receiver: Receiver) -> None:
    service = await serve(offline=webhook(receiver, max_deliver=1))
    async with Receiver() as elsewhere:
        receiver.answer = lambda calls: (307, {"location": elsewhere.url})
        await service.room("room", "bob")
        await service.post("room", "1")
        await receiver.until(lambda seen: len(seen.ids) == 1)
        await settled(service)
        assert elsewhere.ids == []
