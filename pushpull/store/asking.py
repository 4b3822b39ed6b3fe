"""Questions to several servers at once, when it is not known whom to believe: who is primary, who has which slots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions as redis_errors

from pushpull.store.exchange import Command, on_connection

ASKED_AT_ONCE: Final = 3
ANSWER_S: Final = 1.0
GRACE_S: Final = 0.15
"""After the first answer: one who has just come back may be the first to speak and know nothing of what went on."""


async def ask_some(pools: Sequence[Any], commands: Sequence[Command]) -> list[tuple[Any, list[Any]]]:
    """Ask servers, ASKED_AT_ONCE side by side, in this order; the answers of the first group that gives any.

    Each is (pool, replies). A server that is away, slow, or refuses one of the commands has no part in it.
    """
    for first in range(0, len(pools), ASKED_AT_ONCE):
        found = await _ask_group(pools[first : first + ASKED_AT_ONCE], commands)
        if found:
            return found
    return []


async def _ask_group(pools: Sequence[Any], commands: Sequence[Command]) -> list[tuple[Any, list[Any]]]:
    tasks = {asyncio.create_task(_ask(pool, commands), name="ask redis"): pool for pool in pools}
    found: list[tuple[Any, list[Any]]] = []
    waiting, give_up = set(tasks), asyncio.get_running_loop().time() + ANSWER_S
    try:
        while waiting and (left := give_up - asyncio.get_running_loop().time()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            answers = [(tasks[task], task.result()) for task in done]
            if any(replies for _, replies in answers) and not found:
                give_up = min(give_up, asyncio.get_running_loop().time() + GRACE_S)
            found += [(pool, replies) for pool, replies in answers if replies]
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return found


async def _ask(pool: Any, commands: Sequence[Command]) -> list[Any]:
    """The replies, on a connection of its own: those of the pool may all be waiting for a server that hangs."""
    connection = pool.make_connection()
    try:
        await connection.connect()
        replies = await on_connection(connection, commands)
    except (redis_errors.RedisError, OSError):
        return []  # away, or it refuses the login
    finally:
        await connection.disconnect(nowait=True)
    return [] if any(isinstance(reply, Exception) for reply in replies) else replies
