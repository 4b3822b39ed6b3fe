"""Push over a real socket: connect, send, deliver, ack, deliver again."""

from __future__ import annotations

import asyncio
import time

from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of


async def test_a_session_opens_with_welcome_and_the_list(service: LocalService) -> None:
    await service.room("room", "alice", "bob", data={"title": "The room"})
    wire = await service.wire()

    welcome = await wire.greet(token=token_of("alice"), device="laptop", rid=7)

    assert (welcome["user"], welcome["device"], welcome["rid"]) == ("alice", "laptop", 7)
    assert {"session", "node", "time", "heartbeat_s", "expires_at", "features", "ack", "limits"} <= welcome.keys()
    row = wire.rows["room"]
    assert (row["head"], row["floor"], row["start"], row["unread"], row["mode"]) == (0, 1, "0-0", 0, "push")
    assert (row["role"], row["data"]) == ("member", {"title": "The room"})


async def test_a_message_is_stored_and_pushed_to_everyone_its_sender_included(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    await alice.say("send", cid="room", cmid="c1", body={"text": "hi"}, rid="r")
    sent = await alice.hear("sent")

    assert (sent["cid"], sent["cmid"], sent["dup"], sent["rid"]) == ("room", "c1", False, "r")
    for wire in (alice, bob):
        (item,) = await wire.collect("room", 1)
        assert (item["id"], item["from"], item["body"]) == (sent["id"], "alice", {"text": "hi"})


async def test_a_body_arrives_byte_for_byte(service: LocalService) -> None:
    await service.room("room", "alice")
    alice = await service.device("alice")

    await alice.say_text('{"type":"send","cid":"room","cmid":"c","body":{"b": 1.50, "a":  "\\u00e9"}}')

    await alice.hear("sent")
    page = await service.server.get("/v1/conversations/room/messages?after=0")
    assert '"body":{"b": 1.50, "a":  "\\u00e9"}' in page.text


async def test_a_retried_send_is_stored_once_and_gets_the_same_id(service: LocalService) -> None:
    await service.room("room", "alice")
    alice = await service.device("alice")
    answers = []
    for _ in range(2):
        await alice.say("send", cid="room", cmid="c1", body="hi")
        answers.append(await alice.hear("sent"))
    again = await service.user("alice").post("/v1/conversations/room/messages", json={"cmid": "c1", "body": "hi"})

    assert [answer["dup"] for answer in answers] == [False, True]
    assert (again.status_code, again.json()["dup"]) == (200, True)
    assert {answer["id"] for answer in answers} == {again.json()["id"]}
    assert (await service.row("alice", "room"))["head"] == 1


async def test_sends_of_one_connection_are_stored_in_the_order_sent(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    for number in range(1, 301):
        await alice.say("send", cid="room", cmid=str(number), body=number)

    assert [item["body"] for item in await bob.collect("room", 300)] == list(range(1, 301))


async def test_after_a_refused_send_those_behind_it_in_its_conversation_fail_too(service: LocalService) -> None:
    await service.room("room", "alice")
    await service.room("other", "alice")
    await service.post("room", "taken", "first body", sender="alice")
    alice = await service.device("alice")
    await asyncio.gather(  # one write each, so that they meet in one batch or two
        alice.say("send", cid="room", cmid="taken", body="another body"),
        alice.say("send", cid="room", cmid="behind", body="b"),
        alice.say("send", cid="other", cmid="elsewhere", body="c"),
    )

    await alice.error("cmid_conflict", cmid="taken")
    assert (await alice.hear("sent", cmid="elsewhere"))["dup"] is False
    # Behind in the same batch: refused. In a batch of its own: the sender had the error first, and it is stored.
    frames = [frame for frame in await alice.heard(within=0.2) if frame.get("cmid") == "behind"]
    assert frames[0]["type"] == "sent" or frames[0]["temporary"]


async def test_an_ack_moves_the_cursor_and_all_sessions_of_the_user_hear_of_it(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    phone, laptop = await service.device("bob", "phone"), await service.device("bob", "laptop")
    await service.post_many("room", range(1, 4), sender="alice")

    await phone.collect("room", 3)

    for wire in (phone, laptop):
        moved = await wire.hear("cursors", cid="room", delivered=3)
        assert (moved["read"], moved["unread"], moved["count"]) == (0, 3, 3)
    assert (await service.row("bob", "room"))["delivered"] == 3


async def test_without_an_ack_the_same_range_comes_again_later_and_later(serve: Serve) -> None:
    service = await serve(delivery={"ack_wait_ms": 150, "max_deliver": 4})
    await service.room("room", "bob")
    bob = await service.device("bob")
    start = time.monotonic()
    await service.post("room", "c1")
    first = await bob.hear("messages", upto=1)
    await service.post("room", "c2")

    assert "redelivery" not in first
    came = []
    for count in (1, 2):
        again = await bob.hear("messages", redelivery=count)
        came.append(time.monotonic() - start)
        assert (again["after"], again["upto"], [item["cmid"] for item in again["items"]]) == (0, 2, ["c1", "c2"])
    assert came[0] >= 0.15
    assert came[1] >= 0.15 + 0.29

    rows = (await service.server.get("/v1/conversations/room/pending?limit=5")).json()["rows"]
    assert [(row["user"], row["first"], row["last"], row["delivery_count"]) for row in rows] == [("bob", 1, 2, 3)]
    await bob.say("ack", acks={"room": 2})
    await bob.hear("cursors", delivered=2)
    await bob.hears_nothing("messages", within=0.8, upto=2, redelivery=3)
    assert (await service.server.get("/v1/conversations/room/pending?limit=5")).json()["rows"] == []


async def test_a_device_that_never_acks_is_let_go_and_gets_it_again_when_it_comes_back(serve: Serve) -> None:
    service = await serve(delivery={"ack_wait_ms": 60, "max_deliver": 3, "backoff": 1.5})
    await service.room("room", "bob")
    bob = await service.device("bob")
    await service.post("room", "c1")

    code, reason = await bob.closed()

    assert (code, reason) == (4408, "no ack after 3 deliveries")
    assert [frame.get("redelivery", 0) for frame in bob.heard_so_far("messages")] == [0, 1, 2]
    back = await service.device("bob")
    assert [item["cmid"] for item in await back.collect("room", 1)] == ["c1"]


async def test_a_partial_ack_narrows_what_comes_again(serve: Serve) -> None:
    service = await serve(delivery={"ack_wait_ms": 150})
    await service.room("room", "bob")
    bob = await service.device("bob")
    await service.post_many("room", range(1, 6))
    while (await bob.hear("messages"))["upto"] < 5:
        pass

    await bob.say("ack", acks={"room": 3})

    again = await bob.hear("messages", redelivery=1)
    assert (again["after"], again["upto"], [item["seq"] for item in again["items"]]) == (3, 5, [4, 5])
    assert (await bob.hear("cursors"))["delivered"] == 3


async def test_a_long_absent_device_gets_its_backlog_batch_by_batch(serve: Serve) -> None:
    service = await serve(delivery={"max_ack_pending": 10})
    await service.room("room", "bob")
    await service.post_many("room", range(1, 26))
    bob = await service.device("bob")

    for after, upto in ((0, 10), (10, 20), (20, 25)):
        batch = await bob.hear("messages")
        assert (batch["after"], batch["upto"], batch["head"]) == (after, upto, 25)
        if after == 0:
            await bob.say("ack", acks={"room": 5})
            await bob.hears_nothing("messages", within=0.2)
        await bob.say("ack", acks={"room": upto})

    await service.post("room", "live")
    assert (await bob.hear("messages", after=25))["upto"] == 26


async def test_live_messages_wait_behind_the_backlog(serve: Serve) -> None:
    service = await serve(delivery={"max_ack_pending": 10})
    await service.room("room", "bob", "carol")
    await service.post_many("room", range(1, 31))
    bob, carol = await service.device("bob"), await service.device("carol", unnamed="head")
    await service.post_many("room", range(31, 41))

    assert [item["body"] for item in await carol.collect("room", 40, after=30)] == list(range(31, 41))
    assert [item["body"] for item in await bob.collect("room", 40)] == list(range(1, 41))


async def test_a_backlog_older_than_the_tail_is_read_from_the_log(serve: Serve) -> None:
    service = await serve(delivery={"tail_messages": 8, "max_ack_pending": 50})
    await service.room("room", "bob", "carol")
    await service.device("carol", unnamed="head")  # keeps the feed open, so that there is a tail
    await service.post_many("room", range(1, 201))

    bob = await service.device("bob")

    assert [item["body"] for item in await bob.collect("room", 200)] == list(range(1, 201))


async def test_one_device_acking_leaves_the_other_where_it_stands(service: LocalService) -> None:
    await service.room("room", "bob")
    phone, laptop = await service.device("bob", "phone"), await service.device("bob", "laptop")
    await service.post_many("room", range(1, 4))
    await phone.collect("room", 3)
    await phone.hear("cursors", delivered=3)
    laptop.cut()

    back = await service.device("bob", "laptop", positions={"room": "0-0"})

    assert [item["body"] for item in await back.collect("room", 3)] == [1, 2, 3]


async def test_past_max_windows_the_one_longest_without_an_ack_is_notified_instead(serve: Serve) -> None:
    service = await serve(delivery={"max_windows": 2, "ack_wait_ms": 60_000, "inline_max_bytes": 0})
    await service.room("room", "ann", "bob", "cid")
    devices = [await service.device(uid) for uid in ("ann", "bob", "cid")]

    await service.post("room", "one")
    for wire in devices:
        await wire.hear("messages", upto=1)
    assert "pushpull_demotions_total 1.0" in (await service.anybody().get("/metrics")).text
    await service.post("room", "two")

    notice = await devices[0].hear("notice", cid="room")
    assert notice["head"] == 2
    for wire in devices[1:]:
        await wire.hear("messages", after=1, upto=2)
    await devices[0].say("pull", cid="room", after=1)
    assert [item["cmid"] for item in await devices[0].collect("room", 2, after=1)] == ["two"]


async def test_a_conversation_that_gathers_its_pushes_sends_what_came_in_one_frame(service: LocalService) -> None:
    await service.room("room", "bob", "carol", mode="push", push_window_ms=400)
    shown = (await service.server.get("/v1/conversations/room")).json()
    assert (shown["mode"], shown["settings"]["push_window_ms"]) == ("push", 400)
    bob, carol = await service.device("bob"), await service.device("carol")
    await service.post("room", "c1")
    for device in (bob, carol):
        await device.collect("room", 1)

    for n in range(2, 7):
        await service.post("room", f"c{n}")

    for device in (bob, carol):
        frame = await device.hear("messages", upto=6)
        assert [item["cmid"] for item in frame["items"]] == ["c2", "c3", "c4", "c5", "c6"]
        await device.say("ack", acks={"room": 6})
        await device.hear("cursors", delivered=6)


async def test_a_window_may_be_set_and_taken_back_while_messages_come(service: LocalService) -> None:
    await service.room("room", "bob", mode="push")
    bob = await service.device("bob")
    for n in range(1, 31):
        if n % 5 == 0:
            window = 100 if n % 10 else 0
            await service.server.put("/v1/conversations/room", json={"settings": {"push_window_ms": window}})
        await service.post("room", f"c{n}")

    assert [item["cmid"] for item in await bob.collect("room", 30)] == [f"c{n}" for n in range(1, 31)]
