"""Signals: what members say in passing reaches who is connected, on every node, and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pushpull.client import Chat, Message, Receipt, Signal, connect
from pushpull.errors import Invalid, TooLarge
from pushpull.model import Cid
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.servers import RedisServer


async def test_a_signal_reaches_the_members_on_both_nodes(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("room", "alice", "bob", "carol")
    alice, tab = await one.device("alice", "phone"), await other.device("alice", "tab")
    bob, carol = await one.device("bob"), await other.device("carol")

    await alice.say("signal", cid="room", body={"typing": True})

    for wire in (tab, bob, carol):
        assert await wire.hear("signal") == {
            "type": "signal",
            "cid": "room",
            "from": "alice",
            "body": {"typing": True},
        }
    await alice.hears_nothing("signal", within=0.05)


async def test_a_signal_is_never_stored(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    await alice.say("signal", cid="room", body=1)
    await bob.hear("signal")
    await bob.leave()

    assert (await service.row("bob", "room"))["head"] == 0
    again = await service.device("bob")
    await again.hears_nothing("signal", within=0.05)


async def test_a_body_arrives_byte_for_byte(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    await alice.say_text('{"type":"signal","cid":"room","body":{"n":1.50, "t":"é \\u00e9"}}')

    assert (await bob.hear("signal"))["body"] == {"n": 1.5, "t": "é é"}


async def test_five_signals_at_once_are_one_too_many(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    for number in range(5):
        await alice.say("signal", cid="room", body=number, rid=number)

    frame = await alice.hear("error", rid=4)
    assert (frame["code"], frame["cid"], frame["temporary"]) == ("rate_limited", "room", True)
    assert 0 < frame["retry_after_ms"] <= 250
    assert [(await bob.hear("signal"))["body"] for _ in range(4)] == [0, 1, 2, 3]


async def test_what_cannot_be_a_signal_is_refused(service: LocalService) -> None:
    await service.room("room", "alice")
    alice = await service.device("alice")

    await alice.say("signal", cid="room", body="x" * 4095)
    assert "4097 bytes is over the limit of 4096" in await alice.error("too_large", cid="room")
    await alice.say("signal", cid="elsewhere", body=1)
    assert "elsewhere" in await alice.error("not_a_member")
    await alice.say_text('{"type":"signal","cid":"room","body":NaN}')
    assert "NaN" in await alice.error("bad_request")
    await alice.say("signal", cid="room")
    assert "body" in await alice.error("bad_request")


async def test_a_large_conversation_has_none_whatever_its_mode(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 2})
    await service.room("room", "alice", "bob", "carol", mode="push")
    alice = await service.device("alice")

    await alice.say("signal", cid="room", body=1, rid="r")

    assert "room has 3 members: signals go to conversations of up to 2" in await alice.error("not_allowed", rid="r")


async def test_a_small_conversation_that_is_notified_has_them(service: LocalService) -> None:
    await service.room("room", "alice", "bob", mode="notify")
    alice, bob = await service.device("alice"), await service.device("bob")

    await alice.say("signal", cid="room", body=1)

    await bob.hear("signal")


async def test_who_was_removed_hears_none_though_every_word_of_it_was_lost(
    service: LocalService, redis_server: RedisServer, monkeypatch: Any
) -> None:
    await service.room("room", "alice", "bob", "carol")
    alice, bob, carol = [await service.device(uid) for uid in ("alice", "bob", "carol")]
    lose_what_is_said(service, monkeypatch)
    await service.remove("room", "carol")

    # The first one tells the node that it has missed something; it, too, goes to nobody.
    await alice.say("signal", cid="room", body="first")
    await carol.hear("conversation", change="left")
    await alice.say("signal", cid="room", body="second")

    assert (await bob.hear("signal"))["body"] == "second"
    assert not bob.heard_so_far("signal")
    await carol.hears_nothing("signal", within=0.05)


def lose_what_is_said(service: LocalService, monkeypatch: Any) -> None:
    """Let this node miss bells of messages and members, and announcements: only signals are heard."""
    live = service.node._live
    rung = live.rung

    def only_signals(rings: Any) -> None:
        rung([ring for ring in rings if type(ring).__name__ not in ("Bell", "Announcement")])

    monkeypatch.setattr(live, "rung", only_signals)


async def test_who_leaves_signals_no_more(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")
    await service.remove("room", "alice")
    await alice.hear("conversation", change="left")

    await alice.say("signal", cid="room", body=1)

    await alice.error("not_a_member", cid="room")
    await bob.hears_nothing("signal", within=0.05)
    assert service.node.parts.feeds.get(Cid("room")) is not None


async def test_the_clients_hear_each_others_signals_and_receipts(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    async with (
        connect(service.url, token=token_of("alice"), device="phone", receipts=True) as alice,
        connect(service.url, token=token_of("bob"), device="phone") as bob,
    ):
        assert alice.connected
        sent = await alice.send("room", "Hello")
        async with asyncio.timeout(10):
            async for event in bob.events():
                if isinstance(event, Message):
                    break
            await bob.signal("room", {"typing": True})  # what is said before its session lists the room is passed over
            await bob.read("room", event.seq)
            heard = await gathered(alice, Signal, Receipt)

    assert heard[Signal] == Signal("room", "bob", {"typing": True})
    assert heard[Receipt] == Receipt("room", "bob", heard[Receipt].delivered, event.seq)
    assert event.id == sent.id


async def gathered(chat: Chat, *kinds: type) -> dict[type, Any]:
    """The first signal, and the first receipt that says somebody has read something."""
    heard: dict[type, Any] = {}
    async for event in chat.events():
        if type(event) in kinds and getattr(event, "read", 1):
            heard.setdefault(type(event), event)
        if len(heard) == len(kinds):
            break
    return heard


async def test_a_signal_that_is_too_large_or_no_json_is_not_sent(service: LocalService) -> None:
    await service.room("room", "alice")
    async with connect(service.url, token=token_of("alice")) as alice:
        with pytest.raises(TooLarge, match="4097 bytes, expected at most 4096"):
            await alice.signal("room", "x" * 4095)
        with pytest.raises(Invalid):
            await alice.signal("room", float("nan"))
