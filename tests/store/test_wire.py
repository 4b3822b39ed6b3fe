"""Many calls on one connection: replies in order, refusals in their places, nothing left over for the next call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import exceptions as redis_errors

from pushpull.store.connection import connect, exchange, take_ready


async def test_a_refused_command_is_an_exception_in_its_place(client: Any) -> None:
    first, refused, last = await exchange(client, [("SET", "a", "1"), ("HGET", "a", "x"), ("GET", "a")])

    assert (first, last) == (b"OK", b"1")
    assert isinstance(refused, redis_errors.ResponseError)


async def test_replies_that_are_here_are_taken_without_waiting(redis_url: str) -> None:
    client: Any = connect(redis_url)
    assert await exchange(client, [("PING",)]) == [b"PONG"]
    connection = await client.connection_pool.get_connection()
    connection._parser._reader.feed(b"+one\r\n-ERR no\r\n:3\r\n+not who")

    one, refused, three = take_ready(connection)

    assert (one, str(refused), three) == (b"one", "no", 3)
    connection._parser._reader.feed(b"le\r\n")
    assert take_ready(connection) == [b"not whole"]
    await client.aclose()


async def test_a_call_that_was_given_up_leaves_no_reply_to_the_next(redis_url: str) -> None:
    client: Any = connect(redis_url)
    waiting = asyncio.create_task(exchange(client, [("BLPOP", "nothing", 1), ("ECHO", "late")]))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert await exchange(client, [("ECHO", "a"), ("ECHO", "b")]) == [b"a", b"b"]
    await client.aclose()


async def test_a_refusal_of_the_whole_connection_is_raised_and_the_connection_is_not_used_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = connect(redis_url)
    connection = await client.connection_pool.get_connection()
    await client.connection_pool.release(connection)
    monkeypatch.setattr(connection, "take_ready", lambda: [redis_errors.BusyLoadingError("loading"), b"for another"])

    with pytest.raises(redis_errors.BusyLoadingError):
        await exchange(client, [("PING",), ("PING",), ("PING",)])

    assert not connection.is_connected
    monkeypatch.undo()
    assert await exchange(client, [("PING",)]) == [b"PONG"]
    await client.aclose()
