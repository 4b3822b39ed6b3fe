"""What an append costs Redis: one script call, and the same commands in it whatever the number of members."""

from __future__ import annotations

import asyncio

from pushpull.model import Role, Uid
from pushpull.store import RowRequest, Store
from tests.servers import RedisServer
from tests.store.conftest import ROOM
from tests.store.drafts import send, send_many


def calls(server: RedisServer) -> dict[str, int]:
    """Commands since the last reset, those inside scripts among them, by name."""
    lines = [line for line in server.ask("INFO", "commandstats").splitlines() if line.startswith("cmdstat_")]
    found = {line.split(":")[0].removeprefix("cmdstat_"): int(line.split("calls=")[1].split(",")[0]) for line in lines}
    server.ask("CONFIG", "RESETSTAT")
    return {name: count for name, count in found.items() if name not in ("info", "config|resetstat", "ping")}


async def one_append(store: Store, server: RedisServer, cmid: str) -> dict[str, int]:
    calls(server)
    await send(store, cmid)
    return calls(server)


async def test_an_append_is_one_script_call_at_ten_and_at_ten_thousand_members(
    real_store: Store, redis_server: RedisServer
) -> None:
    await real_store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(7)])
    await send_many(real_store, 2)
    at_ten = await one_append(real_store, redis_server, "at ten")
    await real_store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(9997)])
    assert (await real_store.conversations.head(ROOM)).members == 10_000
    at_ten_thousand = await one_append(real_store, redis_server, "at ten thousand")
    assert at_ten["evalsha"] == 1
    assert at_ten == at_ten_thousand
    assert "eval" not in at_ten


async def test_a_batch_of_one_conversation_is_one_script_call(real_store: Store, redis_server: RedisServer) -> None:
    await send(real_store, "first")
    calls(redis_server)
    await send_many(real_store, 100)
    found = calls(redis_server)
    assert (found["evalsha"], found["xadd"], found["spublish"]) == (1, 100, 100)


async def test_the_good_path_writes_no_pending_row(real_store: Store, redis_server: RedisServer) -> None:
    await send_many(real_store, 3)
    assert redis_server.ask("EXISTS", "pp:{c:room}:pending") == "0"


async def test_rows_of_many_devices_cost_a_few_commands_more_than_the_rows_of_one(
    real_store: Store, redis_server: RedisServer
) -> None:
    users = [Uid(f"u{i}") for i in range(20)]
    await real_store.members.add(ROOM, [(uid, Role.MEMBER) for uid in users])
    ids = await send_many(real_store, 2)

    async def cost(asking: list[Uid]) -> int:
        calls(redis_server)
        wanted = [RowRequest(ROOM, ids[1])]
        await asyncio.gather(*(real_store.conversations.rows(uid, wanted, device="d") for uid in asking))
        return sum(calls(redis_server).values())

    await cost(users[:1])
    assert await cost(users) <= await cost(users[:1]) + 1
    before = await cost(users)
    await real_store.members.add(ROOM, [(Uid(f"w{i}"), Role.MEMBER) for i in range(1000)])
    assert await cost(users) == before
