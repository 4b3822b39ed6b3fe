"""Work that nobody awaits, and its end."""

from __future__ import annotations

import asyncio

from pushpull.node.background import Background


async def test_stop_ends_what_runs() -> None:
    background = Background()
    task = background.spawn(asyncio.Event().wait(), "waits")

    await background.stop()

    assert task.cancelled()
    assert len(background) == 0


async def test_nothing_starts_after_the_stop() -> None:
    background = Background()
    await background.stop()
    done: list[str] = []

    async def late() -> None:
        done.append("work")

    task = background.spawn(late(), "late")
    await asyncio.wait([task])

    assert task.cancelled()
    assert done == []
