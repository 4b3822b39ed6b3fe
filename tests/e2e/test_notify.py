"""Notify over a real socket: a notice, or the message inline, and pulls by cursor."""

from __future__ import annotations

from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService

BIG = "x" * 1_000  # over inline_max_bytes: never rides along


async def test_a_small_message_rides_inline_to_who_stands_right_before_it(service: LocalService) -> None:
    await service.room("room", "alice", "bob", mode="notify")
    bob = await service.device("bob")

    await service.post("room", "c1")

    assert [item["cmid"] for item in await bob.collect("room", 1)] == ["c1"]
    assert not bob.heard_so_far("notice")
    assert (await bob.hear("cursors"))["delivered"] == 1


async def test_a_large_one_is_told_of_and_pulled(service: LocalService) -> None:
    await service.room("room", "alice", "bob", mode="notify")
    bob = await service.device("bob")
    await service.post("room", "c1", BIG)
    await service.post("room", "c2", BIG, quiet=True)
    notice = await bob.hear("notice", head=2)
    assert (notice["cid"], notice["count"]) == ("room", 1)
    assert "mentioned" not in notice

    await bob.say("pull", cid="room", after=0, limit=1)

    page = await bob.hear("messages", after=0)
    assert (page["upto"], page["head"], [item["cmid"] for item in page["items"]]) == (1, 2, ["c1"])
    await bob.say("pull", cid="room", after=1)
    assert [item["cmid"] for item in await bob.collect("room", 2, after=1)] == ["c2"]
    assert (await bob.hear("cursors", delivered=2))["unread"] == 1


async def test_many_messages_in_an_interval_are_one_notice(serve: Serve) -> None:
    service = await serve(delivery={"notify_interval_ms": 400, "notify_interval_max_ms": 400})
    await service.room("room", "bob", mode="notify")
    bob = await service.device("bob")

    for number in range(1, 21):
        await service.post("room", str(number), BIG)

    await bob.hear("notice", head=20)
    told = [frame["head"] for frame in await bob.heard(within=0.5) if frame["type"] == "notice"]
    assert len(told) <= 2, "the first rings at once, the others together"


async def test_who_has_not_pulled_gets_notices_and_never_a_frame_that_would_be_a_gap(service: LocalService) -> None:
    await service.room("room", "bob", mode="notify")
    bob = await service.device("bob")
    await service.post("room", "c1", BIG)
    await bob.hear("notice", head=1)

    await service.post("room", "c2", "small")

    await bob.hear("notice", head=2)
    await bob.hears_nothing("messages", within=0.2)


async def test_a_mention_cuts_through(serve: Serve) -> None:
    service = await serve(delivery={"notify_interval_ms": 20_000, "notify_interval_max_ms": 20_000})
    await service.room("room", "bob", "carol", mode="notify")
    bob, carol = await service.device("bob"), await service.device("carol")
    await service.post("room", "c1", BIG)
    for wire in (bob, carol):
        await wire.hear("notice", head=1)

    await service.post("room", "c2", BIG, mentions=["bob"])

    assert (await bob.hear("notice", head=2))["mentioned"] is True
    await carol.hears_nothing("notice", within=0.2)
    await service.post("room", "c3", BIG, mentions=["*"])
    for wire in (bob, carol):
        assert (await wire.hear("notice", head=3))["mentioned"] is True


async def test_a_group_over_the_threshold_is_notified_and_a_small_one_pushed(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 2, "hysteresis": 0})
    await service.room("small", "ann", "bob")
    await service.room("large", "ann", "bob", "cid")

    bob = await service.device("bob")

    assert {cid: row["mode"] for cid, row in bob.rows.items()} == {"small": "push", "large": "notify"}
    seen = (await service.server.get("/v1/conversations/large")).json()
    assert (seen["mode"], "3 members" in seen["why"]) == ("notify", True)


async def test_a_group_that_grows_is_notified_from_then_on_and_pushed_when_it_shrinks(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 2, "hysteresis": 0.4, "inline_max_bytes": 0})
    await service.room("room", "ann", "bob")
    bob = await service.device("bob")
    await service.post("room", "pushed")
    await bob.collect("room", 1)

    await service.join("room", "cid")
    await bob.heard(within=0.1)
    await service.post("room", "told")
    assert (await bob.hear("notice"))["head"] == 2

    await service.remove("room", "cid", "ann")
    assert [item["cmid"] for item in await bob.collect("room", 2, after=1)] == ["told"]
    await service.post("room", "pushed again")
    assert [item["cmid"] for item in await bob.collect("room", 3, after=2)] == ["pushed again"]


async def test_a_device_that_comes_back_behind_is_told_at_once(service: LocalService) -> None:
    await service.room("room", "bob", mode="notify")
    await service.post_many("room", range(1, 31))

    bob = await service.device("bob")

    assert (await bob.hear("notice"))["head"] == 30
    await bob.say("pull", cid="room", after=0, limit=500)
    assert [item["body"] for item in await bob.collect("room", 30)] == list(range(1, 31))


async def test_history_is_pulled_backward_page_by_page(service: LocalService) -> None:
    await service.room("room", "bob")
    await service.post_many("room", range(1, 8))
    bob = await service.device("bob", unnamed="head")

    await bob.say("pull", cid="room", limit=3, rid="newest")
    newest = await bob.hear("history", rid="newest")
    assert ([item["seq"] for item in newest["items"]], newest["more"]) == ([5, 6, 7], True)
    await bob.say("pull", cid="room", before=5, limit=3)
    older = await bob.hear("history", before=5)
    assert ([item["seq"] for item in older["items"]], older["more"]) == ([2, 3, 4], True)
    await bob.say("pull", cid="room", before=2, limit=3)
    oldest = await bob.hear("history", before=2)
    assert ([item["seq"] for item in oldest["items"]], oldest["more"], oldest["floor"]) == ([1], False, 1)


async def test_a_pull_at_the_head_is_an_empty_page(service: LocalService) -> None:
    await service.room("room", "bob")
    await service.post("room", "c1")
    bob = await service.device("bob", unnamed="head")

    await bob.say("pull", cid="room", after=1)

    page = await bob.hear("messages")
    assert (page["after"], page["upto"], page["items"], page["head"]) == (1, 1, [], 1)
