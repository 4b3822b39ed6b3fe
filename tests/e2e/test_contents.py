"""Quiet messages, edits, reactions, redactions; read cursors and unread counts."""

from __future__ import annotations

import pytest

from tests.e2e.service import LocalService
from tests.e2e.wire import Frame


@pytest.fixture
async def room(service: LocalService) -> str:
    return await service.room("room", "alice", "bob", {"user": "mo", "role": "moderator"})


async def page(service: LocalService, after: int = 0) -> list[Frame]:
    items: list[Frame] = (await service.server.get(f"/v1/conversations/room/messages?after={after}")).json()["items"]
    return items


async def test_a_quiet_message_takes_a_seq_and_counts_nowhere(service: LocalService, room: str) -> None:
    alice, bob = await service.device("alice"), await service.device("bob")
    await alice.say("send", cid="room", cmid="loud", body=1)
    await alice.say("send", cid="room", cmid="quiet", body=2, quiet=True)

    items = await bob.collect("room", 2)

    assert [item.get("quiet") for item in items] == [None, True]
    row = await service.row("bob", "room")
    assert (row["head"], row["count"], row["unread"]) == (2, 1, 1)


async def test_sending_reads_ones_own_message_and_all_before_it(service: LocalService, room: str) -> None:
    await service.post_many("room", range(1, 4), sender="bob")
    alice = await service.device("alice")
    await alice.say("send", cid="room", cmid="own", body="hi")
    await alice.hear("sent")

    assert [(await service.row(uid, "room"))["unread"] for uid in ("alice", "bob", "mo")] == [0, 4, 4]


async def test_an_edit_is_shown_live_and_in_every_page_afterwards(service: LocalService, room: str) -> None:
    alice, bob = await service.device("alice"), await service.device("bob")
    await alice.say("send", cid="room", cmid="c1", body="helo")
    await bob.collect("room", 1)

    await alice.say("send", cid="room", cmid="c2", body="hello", kind="edit", ref=1)

    (edit,) = await bob.collect("room", 2, after=1)
    assert (edit["kind"], edit["ref"], edit["body"], edit["quiet"]) == ("edit", 1, "hello", True)
    for items in (await page(service), (await pulled(service))["items"]):
        assert (items[0]["body"], items[0]["edited"]["seq"], items[0]["id"]) == ("hello", 2, items[0]["id"])
    assert (await service.row("bob", "room"))["unread"] == 1


async def pulled(service: LocalService) -> Frame:
    """The first page as a device pulls it: from the tail."""
    wire = await service.device("mo", unnamed="head")
    await wire.say("pull", cid="room", after=0)
    return await wire.hear("messages", after=0)


async def test_only_its_sender_edits_a_message(service: LocalService, room: str) -> None:
    await service.post("room", "c1", "hello", sender="alice")
    bob = await service.device("bob")

    await bob.say("send", cid="room", cmid="c2", body="hijacked", kind="edit", ref=1)

    await bob.error("not_allowed", cmid="c2")
    assert [item["body"] for item in await page(service)] == ["hello"]


async def test_a_reaction_needs_a_message_that_is_there(service: LocalService, room: str) -> None:
    await service.post("room", "c1", sender="alice")
    bob = await service.device("bob")

    await bob.say("send", cid="room", cmid="r1", body="+1", kind="reaction", ref=1)
    assert (await bob.hear("sent"))["cmid"] == "r1"
    await bob.say("send", cid="room", cmid="r2", body="+1", kind="reaction", ref=9)
    await bob.error("no_such_message", cmid="r2")
    await bob.say("send", cid="room", cmid="r3", body="+1", kind="reaction")
    await bob.error("invalid", cmid="r3")
    assert [item.get("ref") for item in await page(service)] == [None, 1]


async def test_a_redacted_message_is_gone_from_every_page_its_edits_too(service: LocalService, room: str) -> None:
    alice, bob = await service.device("alice"), await service.device("bob")
    for cmid, body, extra in (("c1", "one", {}), ("c2", "two", {}), ("c3", "two!", {"kind": "edit", "ref": 2})):
        await alice.say("send", cid="room", cmid=cmid, body=body, **extra)
    await bob.collect("room", 3)

    assert (await service.user("alice").delete("/v1/conversations/room/messages/2")).status_code == 200

    (redact,) = await bob.collect("room", 4, after=3)
    assert (redact["kind"], redact["ref"], redact["quiet"]) == ("redact", 2, True)
    for items in (await page(service), (await pulled(service))["items"]):
        assert [item["seq"] for item in items] == [1, 4]
    bob_again = await service.device("bob", "laptop", unnamed="all")
    assert [item["seq"] for item in await bob_again.collect("room", 4)] == [1, 4]


async def test_a_position_on_a_redacted_message_is_as_good_as_before(service: LocalService, room: str) -> None:
    at = await service.post("room", "c1", sender="alice")
    await service.post("room", "c2", sender="alice")
    await service.user("alice").delete("/v1/conversations/room/messages/1")

    bob = await service.device("bob", positions={"room": at})

    assert [item["seq"] for item in await bob.collect("room", 3, after=1)] == [2, 3]
    assert not bob.heard_so_far("reset")


async def test_who_may_redact(service: LocalService, room: str) -> None:
    for number in (1, 2, 3):
        await service.post("room", str(number), sender="alice")

    path = "/v1/conversations/room/messages"
    assert (await service.user("bob").delete(f"{path}/1")).status_code == 403
    assert (await service.user("mo").delete(f"{path}/1")).status_code == 200
    assert (await service.server.delete(f"{path}/2")).status_code == 200
    assert (await service.user("alice").delete(f"{path}/3")).status_code == 200
    assert [item["kind"] for item in await page(service)] == ["redact"] * 3


async def test_reading_on_one_device_is_known_on_the_other(service: LocalService, room: str) -> None:
    phone, laptop = await service.device("bob", "phone"), await service.device("bob", "laptop")
    await service.post_many("room", range(1, 6), sender="alice")
    await phone.collect("room", 5)

    await phone.say("read", cid="room", seq=3)

    for wire in (phone, laptop):
        moved = await wire.hear("cursors", read=3)
        assert (moved["cid"], moved["unread"], moved["count"]) == ("room", 2, 5)
    await laptop.say("read", cid="room", seq=2)
    await laptop.hears_nothing("cursors", within=0.2, read=2)
    assert (await service.row("bob", "room"))["read"] == 3


async def test_unread_is_exact_with_quiet_messages_on_both_sides_of_the_cursor(
    service: LocalService, room: str
) -> None:
    for number, quiet in enumerate([False, True, False, False, True, False], start=1):
        await service.post("room", str(number), quiet=quiet, sender="alice")
    bob = await service.device("bob", unnamed="head")
    assert bob.rows["room"]["unread"] == 4

    await bob.say("read", cid="room", seq=3)

    assert (await bob.hear("cursors", read=3))["unread"] == 2


async def test_mentions_are_counted_in_the_row(service: LocalService, room: str) -> None:
    await service.post("room", "1", mentions=["bob"])
    await service.post("room", "2", mentions=["*"])
    await service.post("room", "3", mentions=["mo"])

    assert [(await service.row(uid, "room"))["mentions"] for uid in ("alice", "bob", "mo")] == [1, 2, 2]
