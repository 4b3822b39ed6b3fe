"""What an append costs Redis: one script call, and the same commands in it whatever the number of members."""

from __future__ import annotations

import asyncio

from pushpull.errors import NotAMember
from pushpull.model import Cursors, Role, Sent, Uid
from pushpull.store import RowRequest, Store
from tests.servers import RedisServer
from tests.store.conftest import ALICE, BOB, ROOM
from tests.store.drafts import draft, send, send_many


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


async def test_a_batch_asks_once_what_no_message_of_it_can_change(real_store: Store, redis_server: RedisServer) -> None:
    calls(redis_server)
    await send_many(real_store, 100)
    found = calls(redis_server)
    # The sender's membership, role and delivered cursor, and whether the idempotency bucket expires.
    assert (found["zscore"], found["hget"], found["hlen"], found["pexpire"]) == (2, 1 + 2 * 100, 1, 1)


async def test_what_a_batch_asked_once_is_as_if_it_had_asked_each_time(store: Store) -> None:
    await send_many(store, 3)
    await store.members.remove(ROOM, [ALICE])
    await store.members.add(ROOM, [(ALICE, Role.MEMBER)])
    refused, *taken = await store.log.append(
        [draft("a", sender=Uid("mallory")), draft("b"), draft("c", sender=BOB), draft("d"), draft("e", sender=BOB)]
    )
    assert isinstance(refused, NotAMember)
    # Alice joined at the head, so her first is the next she lacks; later ones have one of bob's before them.
    assert [sent.moved for sent in taken if isinstance(sent, Sent)] == [
        Cursors(4, 4, 0, 4),
        Cursors(0, 5, 0, 5),
        Cursors(4, 6, 0, 6),
        Cursors(0, 7, 0, 7),
    ]
    assert [await store.cursors.get(ROOM, uid) for uid in (ALICE, BOB)] == [Cursors(4, 6, 1, 7), Cursors(0, 7, 0, 7)]
