"""Which slot a key falls into, and which lane a conversation."""

from __future__ import annotations

import pytest

from pushpull.store.keys import Keys, tag_of
from pushpull.store.slots import LANES, SLOTS, lane_of, slot_of
from tests.servers import RedisCluster
from tests.store.conftest import ROOM


@pytest.mark.parametrize("key", ["123456789", "pp:{c:room}:log", "{}empty", "a{b", "x{y}z{w}", "ü{ö}", "{{a}}", ""])
def test_a_slot_is_what_redis_says(key: str, cluster: RedisCluster) -> None:
    assert str(slot_of(key)) == cluster.servers[0].ask("CLUSTER", "KEYSLOT", key)


def test_the_example_of_the_specification() -> None:
    assert slot_of("123456789") == 0x31C3


def test_a_lane_is_a_sixteenth_of_the_slots_and_that_of_the_conversations_keys() -> None:
    slot = slot_of(Keys("pp:").log(ROOM))
    assert lane_of(tag_of(ROOM)) == slot // (SLOTS // LANES)
    assert {lane_of(tag_of(f"c{i}")) for i in range(1000)} == set(range(LANES))  # type: ignore[arg-type]
