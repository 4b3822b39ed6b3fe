"""Many commands on one connection, and what must be confirmed of their writes.

This is the hot path of all that is asked of Redis: `pushpull bench --only send` guards it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions as redis_errors

from pushpull.store.refusals import ELSEWHERE, NotConfirmed
from pushpull.store.sockets import Batching

Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Barrier:
    """What a pipeline ends with, on the same connection, so that its writes count as stored.

    Redis waits for what was written before on the same connection. A duplicate writes nothing: to wait for what another
    connection wrote before it, the pipeline writes a mark of its own first.
    """

    command: Command  # WAIT or WAITAOF
    confirms: Callable[[Any], bool]  # whether its reply is what is needed
    shortfall: str  # what is said where it is not

    def after(self, commands: Sequence[Command]) -> list[Command]:
        return [*commands, mark_of(commands[-1]), self.command]

    def judged(self, replies: list[Any]) -> list[Any]:
        """The replies to the commands alone; NotConfirmed for each that was carried out, unless all was confirmed.

        Where the mark belongs elsewhere by now, nothing was asked about the others: they are to be sent again, too.
        """
        *found, marked, answer = replies
        if not isinstance(marked, Exception) and not isinstance(answer, Exception) and self.confirms(answer):
            return found
        instead = marked if isinstance(marked, ELSEWHERE) else NotConfirmed(self.shortfall)
        return [reply if isinstance(reply, Exception) else instead for reply in found]


MARK_MS = 1000


def mark_of(command: Command) -> Command:
    """A write beside the first key of `command`, in the same slot, that is gone again after MARK_MS."""
    start, _, _ = str(key_of(command)).rpartition("}")
    return ("SET", f"{start}}}:mark", 1, "PX", MARK_MS)


def key_of(command: Command) -> str | bytes:
    """The key that decides where a command goes."""
    key: str | bytes = command[3] if command[0] in ("EVALSHA", "EVAL") else command[1]
    return key


def take_ready(connection: Any) -> list[Any]:
    """See Batching.take_ready; nothing where the connection is not of our making: that is read one by one."""
    return connection.take_ready() if isinstance(connection, Batching) else []


async def exchange(pool: Any, commands: Sequence[Command], barrier: Barrier | None = None) -> list[Any]:
    """Send commands in one pipeline; replies in order, what Redis refused is a ResponseError among them.

    Raises one of LOST, or another redis error that says the same of the whole connection.
    """
    if barrier is not None:
        return barrier.judged(await exchange(pool, barrier.after(commands)))
    connection = await pool.get_connection()
    try:
        return await on_connection(connection, commands)
    finally:
        await pool.release(connection)


async def on_connection(connection: Any, commands: Sequence[Command]) -> list[Any]:
    """What `exchange` does, on this connection, which is closed where that fails."""
    try:
        await connection.send_packed_command(connection.pack_commands(commands))
        replies: list[Any] = []
        while len(replies) < len(commands):
            replies.append(await _next_reply(connection))
            replies += _unbroken(take_ready(connection))
        return replies
    except BaseException:
        # Replies that nobody took would be taken for those of the next call.
        await connection.disconnect(nowait=True)
        raise


async def _next_reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except redis_errors.ResponseError as refusal:
        return refusal


def _unbroken(replies: list[Any]) -> list[Any]:
    """`replies`, unless one of them speaks of the connection and not of its command: that is raised."""
    for reply in replies:
        if isinstance(reply, redis_errors.ConnectionError):
            raise reply
    return replies
