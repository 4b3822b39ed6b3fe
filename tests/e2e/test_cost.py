"""What the whole way of a message costs Redis, counted: it does not grow with the members."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from pushpull.node import deletions, doorbell, node, observation
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService
from tests.e2e.wire import Wire
from tests.servers import RedisServer


@pytest.fixture
async def still(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    """A service that asks Redis for nothing by the clock; cursors wait half a second."""
    monkeypatch.setattr(doorbell, "PROBE_S", 600.0)
    monkeypatch.setattr(node, "BEAT_S", 600.0)
    monkeypatch.setattr(deletions, "ROUND_S", 600.0)
    monkeypatch.setattr(observation, "SOUND_S", 600.0)
    return await serve(
        delivery={"audit_interval_s": 600, "cursor_flush_ms": 500, "push_max_members": 200},
        limits={"sends_per_s": 10_000, "frames_per_s": 10_000},
    )


def commands(server: RedisServer) -> Counter[str]:
    """Commands since it was last asked, those inside scripts among them."""
    found = Counter[str]()
    for line in server.ask("INFO", "commandstats").splitlines():
        name, _, stats = line.removeprefix("cmdstat_").partition(":calls=")
        if stats and name not in ("info", "config|resetstat"):
            found[name] = int(stats.split(",")[0])
    server.ask("CONFIG", "RESETSTAT")
    return found


async def cost_of_sends(wire: Wire, server: RedisServer, prefix: str, count: int) -> Counter[str]:
    """Sends one after the other, each stored before the next: no batch makes it look cheaper than it is."""
    commands(server)
    for number in range(count):
        await wire.say("send", cid="room", cmid=f"{prefix}{number}", body="x" * 200)
        await wire.hear("sent")
    return commands(server)


async def test_a_message_is_one_script_call_one_entry_and_one_bell_at_any_size(
    still: LocalService, redis_server: RedisServer
) -> None:
    await still.room("room", *(f"u{number}" for number in range(10)))
    sender, *others = [await still.device(f"u{number}") for number in range(5)]
    await cost_of_sends(sender, redis_server, "warm up ", 2)
    at_ten = await cost_of_sends(sender, redis_server, "ten ", 20)
    for wire in (sender, *others):
        await wire.collect("room", 22)
    await sender.hear("cursors", delivered=22)

    await still.join("room", *(f"u{number}" for number in range(10, 10_000)))
    assert (await still.server.get("/v1/conversations/room")).json()["members"] == 10_000
    await sender.heard(within=0.7)
    at_ten_thousand = await cost_of_sends(sender, redis_server, "ten thousand ", 20)

    assert (at_ten["evalsha"], at_ten["xadd"], at_ten["spublish"]) == (20, 20, 20)
    assert at_ten_thousand == at_ten
    for wire in others:
        await wire.hear("notice", head=42)


async def test_the_acks_of_many_members_are_one_script_call_a_flush(
    still: LocalService, redis_server: RedisServer
) -> None:
    await still.room("room", *(f"u{number}" for number in range(50)))
    wires = [await still.device(f"u{number}") for number in range(50)]
    await still.post("room", "c1")
    for wire in wires:
        await wire.hear("messages", upto=1)
    commands(redis_server)

    await asyncio.gather(*(wire.say("ack", acks={"room": 1}) for wire in wires))

    for wire in wires:
        await wire.hear("cursors", delivered=1)
    assert commands(redis_server)["evalsha"] == 1


async def test_a_page_is_read_once_for_all_who_ask_for_it(still: LocalService, redis_server: RedisServer) -> None:
    await still.room("room", *(f"u{number}" for number in range(30)), mode="notify")
    await still.post_many("room", range(1, 101))
    wires = [await still.device(f"u{number}", unnamed="all") for number in range(30)]
    commands(redis_server)

    await asyncio.gather(*(wire.say("pull", cid="room", after=0) for wire in wires))

    for wire in wires:
        assert len((await wire.hear("messages", after=0))["items"]) == 100
    assert commands(redis_server)["evalsha"] == 1
    await still.post("room", "live", "x" * 600)
    for wire in wires:
        await wire.hear("notice", head=101)
    commands(redis_server)
    await asyncio.gather(*(wire.say("pull", cid="room", after=100) for wire in wires))
    for wire in wires:
        await wire.hear("messages", after=100)
    assert commands(redis_server).total() == 0, "the tail has it"
