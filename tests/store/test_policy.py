"""The policy's document: one for all nodes, replaced whole, never over somebody else's change."""

from __future__ import annotations

from typing import Any

import pytest

from pushpull.store import Store
from pushpull.store.policy import PolicyDocument


async def test_there_is_none_at_first(store: Store) -> None:
    assert await store.policy.read() == PolicyDocument({}, b"")


async def test_what_is_put_is_read_and_can_be_taken_away(store: Store) -> None:
    policy = store.policy
    none = await policy.read()
    assert await policy.replace(none, {"push_max_members": 5, "backoff": 1.5})
    put = await policy.read()
    assert put.overrides == {"push_max_members": 5, "backoff": 1.5}

    assert await policy.replace(put, {})

    assert await policy.read() == none


async def test_a_change_made_from_an_older_one_is_not_taken(store: Store) -> None:
    policy = store.policy
    none = await policy.read()
    assert await policy.replace(none, {"push_max_members": 5})

    assert not await policy.replace(none, {"max_deliver": 9})

    assert (await policy.read()).overrides == {"push_max_members": 5}


async def test_a_change_whose_answer_was_lost_can_be_made_again(store: Store) -> None:
    none = await store.policy.read()

    assert [await store.policy.replace(none, {"max_deliver": 9}) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("kept", [b'{"v":2,"delivery":{"max_deliver":9}}', b"no json", b'{"v":1}'])
async def test_a_document_that_cannot_be_read_is_left_out_and_can_be_replaced(store: Store, kept: bytes) -> None:
    wire: Any = store._wire
    await wire.command("SET", store._keys.policy(), kept)

    found = await store.policy.read()

    assert found == PolicyDocument({}, kept)
    assert await store.policy.replace(found, {"max_deliver": 3})
    assert (await store.policy.read()).overrides == {"max_deliver": 3}
