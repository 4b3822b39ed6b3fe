"""Announcements that were not heard are noticed, and looked up."""

from __future__ import annotations

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Uid
from pushpull.node import announcements
from pushpull.store.values import Announcement, ControlSubscribed
from tests.node.fakes import Bench, turns


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "ON_ITS_WAY_S", 0)


def hear(bench: Bench, *numbers: int) -> None:
    bench.live.rung([Announcement(kind="revoked", users=(Uid("carol"),), ts=1, number=number) for number in numbers])


async def test_a_number_left_out_makes_the_node_look_up_every_list(bench: Bench) -> None:
    peer = bench.peer("alice")

    hear(bench, 7, 8)
    await turns()
    before = peer.list_checks
    hear(bench, 10)
    await turns()

    assert (before, peer.list_checks) == (0, 1)


async def test_one_that_was_said_and_not_heard_is_found_by_the_check(bench: Bench) -> None:
    peer = bench.peer("alice")
    hear(bench, 4)

    bench.presence.last_number = 4
    await bench.live.announcements.check()
    await turns()
    before = peer.list_checks
    bench.presence.last_number = 5
    for _ in range(2):  # what was found once is not found again
        await bench.live.announcements.check()
        await turns()

    assert (before, peer.list_checks) == (0, 1)


async def test_what_was_said_while_the_channel_was_cut_is_not_missed_twice(bench: Bench) -> None:
    peer = bench.peer("alice")
    hear(bench, 4)
    bench.presence.last_number = 9

    bench.live.rung([ControlSubscribed()])
    await turns()
    hear(bench, 10)
    await turns()

    assert peer.list_checks == 1


async def test_what_is_missed_while_looking_is_looked_up_once_more_and_no_more_than_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = bench.peer("alice")
    meanwhile = [3, 5, 7, 9]

    async def asked() -> int:
        while meanwhile:
            hear(bench, meanwhile.pop(0))
        return 9

    monkeypatch.setattr(bench.presence, "last_announced", asked)
    bench.live.rung([ControlSubscribed()])
    await turns()

    assert peer.list_checks == 2


async def test_where_redis_cannot_say_the_next_check_comes_to_it_again(bench: Bench) -> None:
    peer = bench.peer("alice")
    bench.presence.last_number = 9
    bench.presence.problems.append(StoreUnavailable("redis is away"))
    bench.live.rung([ControlSubscribed()])
    await turns()
    before = peer.list_checks

    await bench.live.announcements.check()
    await turns()

    assert (before, peer.list_checks) == (1, 2)


async def test_numbers_that_fell_are_noticed_by_the_check(bench: Bench) -> None:
    peer = bench.peer("alice")
    hear(bench, 9)
    bench.presence.last_number = 6  # a failover lost the last three

    for _ in range(2):  # what was found once is not found again
        await bench.live.announcements.check()
        await turns()

    assert peer.list_checks == 1


async def test_one_that_got_the_number_of_a_lost_one_and_was_not_heard_is_missed(bench: Bench) -> None:
    peer = bench.peer("alice")
    hear(bench, 9)
    bench.presence.last_number = 6
    bench.live.rung([ControlSubscribed()])  # the new primary's
    await turns()
    before = peer.list_checks

    bench.presence.last_number = 8
    await bench.live.announcements.check()
    await turns()

    assert (before, peer.list_checks) == (1, 2)


async def test_one_that_is_heard_while_redis_is_asked_is_not_unheard_by_an_older_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = bench.peer("alice")
    hear(bench, 4)

    async def asked() -> int:
        hear(bench, 5)
        return 4

    monkeypatch.setattr(bench.presence, "last_announced", asked)
    bench.live.rung([ControlSubscribed()])
    await turns()
    hear(bench, 6)
    await turns()

    assert peer.list_checks == 1
