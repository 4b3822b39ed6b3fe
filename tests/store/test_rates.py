"""The rate of a conversation: one bucket for all who send to it, over all nodes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from pushpull.errors import PushpullError, RateLimited, StoreUnavailable
from pushpull.model import Cid, Sent
from pushpull.store import Store
from tests.store.conftest import ALICE, BOB, ROOM
from tests.store.drafts import draft, send, sent
from tests.store.planting import META

SLOW = 0.01
"""Messages a second: one bucket holds one, and none flows in while a test runs."""


@pytest.fixture
async def slow(store: Store, make_store: Callable[..., Store]) -> Store:
    return make_store(conversation_sends_per_s=SLOW)


def codes(outcomes: list[Sent | PushpullError]) -> list[str]:
    return ["ok" if isinstance(each, Sent) else each.code for each in outcomes]


async def test_five_seconds_worth_may_come_at_once_and_no_more(store: Store, make_store: Callable[..., Store]) -> None:
    limited = make_store(conversation_sends_per_s=2)

    outcomes = await limited.log.append([draft(f"m{n}") for n in range(11)])

    assert codes(outcomes) == ["ok"] * 10 + ["rate_limited"]
    assert (await limited.conversations.head(ROOM)).seq == 10
    refused = outcomes[-1]
    assert isinstance(refused, RateLimited)
    assert refused.retry_after_ms == 500


async def test_users_and_servers_share_it(slow: Store) -> None:
    await send(slow, "m1", sender=None, own=False)

    outcomes = await slow.log.append([draft("m2", sender=BOB), draft("m3", sender=ALICE, own=False)])

    assert codes(outcomes) == ["rate_limited", "rate_limited"]


async def test_two_nodes_share_it(slow: Store, make_store: Callable[..., Store]) -> None:
    await send(slow, "m1")

    with pytest.raises(RateLimited):
        await send(make_store(conversation_sends_per_s=SLOW), "m2")


async def test_a_duplicate_is_answered_over_the_rate_and_does_not_count(
    store: Store, make_store: Callable[..., Store]
) -> None:
    limited = make_store(conversation_sends_per_s=0.4)
    first = await send(limited, "m1")
    for _ in range(5):
        assert (await sent(limited, "m1")).dup

    assert await send(limited, "m2") != first
    assert (await sent(limited, "m1")).dup
    with pytest.raises(RateLimited):
        await send(limited, "m3")


async def test_those_behind_a_refused_send_fail_with_it(slow: Store) -> None:
    outcomes = await slow.log.append([draft(cmid, chain="s1") for cmid in ("m1", "m2", "m3")])

    assert codes(outcomes) == ["ok", RateLimited.code, StoreUnavailable.code]


async def test_the_conversations_own_rate_comes_before_the_services(
    slow: Store, make_store: Callable[..., Store]
) -> None:
    await slow.conversations.put(ROOM, {"sends_per_s": 1000})
    assert codes(await slow.log.append([draft(f"m{n}") for n in range(50)])) == ["ok"] * 50

    await slow.conversations.put(ROOM, {"sends_per_s": 0.5})
    assert "rate_limited" in codes(await make_store().log.append([draft(f"n{n}") for n in range(50)]))


async def test_another_conversation_has_its_own(slow: Store) -> None:
    other = Cid("other")
    await slow.conversations.put(other, {})
    await send(slow, "m1")

    assert await send(slow, "m1", cid=other, sender=None, own=False)


async def test_a_clock_that_went_back_stops_nobody(slow: Store, client: Redis) -> None:
    await client.hset(META, "full_at", "99999999999999.25")

    assert await send(slow, "m1")
    with pytest.raises(RateLimited):
        await send(slow, "m2")


async def test_what_flowed_in_meanwhile_can_be_used(slow: Store, client: Redis) -> None:
    await send(slow, "m1")
    seconds, _ = await client.time()
    await client.hset(META, "full_at", (seconds - 5) * 1000)

    assert await send(slow, "m2")
