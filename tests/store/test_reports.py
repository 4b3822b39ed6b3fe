"""What nodes say of themselves to operators: kept for a few seconds, on every kind of Redis."""

from __future__ import annotations

from typing import Any

from pushpull.store import Store
from pushpull.store.reports import KEPT_MS


async def test_what_a_node_said_last_is_found_in_the_order_asked(store: Store) -> None:
    await store.reports.say("n1", b"old")
    await store.reports.say("n1", b"one")
    await store.reports.say("n2", b"two")

    assert await store.reports.of(["n2", "silent", "n1"]) == [b"two", None, b"one"]
    assert await store.reports.of([]) == []


async def test_what_a_node_said_goes_when_it_says_no_more(store: Store) -> None:
    await store.reports.say("n1", b"one")

    wire: Any = store._wire
    left = await wire.command("PTTL", store._keys.report("n1"))

    assert 0 < left <= KEPT_MS
