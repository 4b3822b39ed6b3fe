"""Who is connected: one look for all who ask at about the same time, none in large conversations or on a busy node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from pushpull.delivery.shedding import Strain
from pushpull.errors import NotAllowed, RateLimited, StoreUnavailable
from pushpull.model import Cid, Head, Uid
from pushpull.node import attendance
from pushpull.node.attendance import Attendance, Present
from pushpull.node.metrics import Metrics
from pushpull.node.relief import Relief
from pushpull.settings import Delivery, Settings
from tests.delivery.words import ROOM
from tests.node.fakes import Clock, head, turns

ALICE, BOB = Uid("alice"), Uid("bob")
OTHER = Cid("other")


class Tables:
    """The tables of a store: two members, of whom alice is connected."""

    def __init__(self) -> None:
        self.members = [ALICE, BOB]
        self.here = {ALICE}
        self.looks: list[Cid] = []
        self.problem: StoreUnavailable | None = None
        self.hold: asyncio.Event | None = None

    async def head(self, cid: Cid) -> Head:
        self.looks.append(cid)
        if self.problem is not None:
            raise self.problem
        return head(0, members=len(self.members))

    async def every(self, cid: Cid) -> AsyncIterator[list[Uid]]:
        for uid in self.members:
            yield [uid]

    async def connected(self, users: Sequence[Uid]) -> list[Uid]:
        if self.hold is not None:
            await self.hold.wait()
        return [uid for uid in users if uid in self.here]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(attendance, "time", clock)
    return clock


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def relief() -> Relief:
    return Relief(Metrics())


@pytest.fixture
def settings() -> Settings:
    return Settings(delivery=Delivery(push_max_members=3))


@pytest.fixture
def who(tables: Tables, relief: Relief, clock: Clock, settings: Settings) -> Attendance:
    return Attendance(tables, tables, tables, relief, settings)


async def test_it_is_told_who_of_the_members_is_connected(who: Attendance) -> None:
    assert await who.of(ROOM) == Present(2, [ALICE])


async def test_what_was_found_holds_for_a_second(who: Attendance, tables: Tables, clock: Clock) -> None:
    await who.of(ROOM)
    tables.here = {BOB}
    clock.now += 0.9
    assert await who.of(ROOM) == Present(2, [ALICE])

    clock.now += 0.1
    assert await who.of(ROOM) == Present(2, [BOB])
    assert tables.looks == [ROOM, ROOM]


async def test_who_asks_while_a_look_is_under_way_shares_it(who: Attendance, tables: Tables, clock: Clock) -> None:
    tables.hold = asyncio.Event()
    first, second = asyncio.create_task(who.of(ROOM)), asyncio.create_task(who.of(ROOM))
    await turns()
    first.cancel()
    await turns()
    tables.hold.set()

    assert await second == Present(2, [ALICE])
    assert tables.looks == [ROOM]


async def test_a_look_that_failed_is_made_again(who: Attendance, tables: Tables) -> None:
    tables.problem = StoreUnavailable("redis is away")
    with pytest.raises(StoreUnavailable):
        await who.of(ROOM)
    tables.problem = None

    assert await who.of(ROOM) == Present(2, [ALICE])


async def test_too_many_members_are_not_looked_at(who: Attendance, tables: Tables) -> None:
    tables.members = [Uid(f"u{number}") for number in range(4)]

    with pytest.raises(NotAllowed, match="room has 4 members: presence is told of up to 3"):
        await who.of(ROOM)


async def test_a_busy_node_looks_at_nobody_and_tells_what_it_knows(
    who: Attendance, relief: Relief, tables: Tables
) -> None:
    await who.of(ROOM)
    relief.adapt(Strain(load=0.0, lag_s=0.1, waiting=0.0))

    assert await who.of(ROOM) == Present(2, [ALICE])
    with pytest.raises(RateLimited, match="no time") as refused:
        await who.of(OTHER)
    assert refused.value.retry_after_ms == 1_000
    assert tables.looks == [ROOM]


async def test_of_more_conversations_than_the_bound_the_oldest_is_looked_up_anew(
    who: Attendance, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "KEPT_MAX", 1)
    await who.of(ROOM)
    await who.of(OTHER)
    await who.of(OTHER)
    await who.of(ROOM)

    assert tables.looks == [ROOM, OTHER, ROOM]


async def test_the_bound_is_that_of_the_policy_in_force(who: Attendance, settings: Settings) -> None:
    settings.delivery = Delivery(push_max_members=1)

    with pytest.raises(NotAllowed, match="2 members: presence is told of up to 1"):
        await who.of(ROOM)
