"""Many calls on one connection: replies in order, refusals in their places, nothing left over for the next call."""

from __future__ import annotations

import asyncio

import pytest
from redis import exceptions as redis_errors

from pushpull.store.address import parse
from pushpull.store.exchange import exchange, take_ready
from pushpull.store.servers import Servers
from pushpull.store.sockets import make_pool


async def test_a_refused_command_is_an_exception_in_its_place(servers: Servers) -> None:
    first, refused, last = await servers.exchange([("SET", "a", "1"), ("HGET", "a", "x"), ("GET", "a")])

    assert (first, last) == (b"OK", b"1")
    assert isinstance(refused, redis_errors.ResponseError)


async def test_replies_that_are_here_are_taken_without_waiting(redis_url: str) -> None:
    pool = make_pool(parse(redis_url).options[0])
    assert await exchange(pool, [("PING",)]) == [b"PONG"]
    connection = await pool.get_connection()
    connection._parser._reader.feed(b"+one\r\n-ERR no\r\n:3\r\n+not who")

    one, refused, three = take_ready(connection)

    assert (one, str(refused), three) == (b"one", "no", 3)
    connection._parser._reader.feed(b"le\r\n")
    assert take_ready(connection) == [b"not whole"]
    await pool.disconnect()


async def test_a_call_that_was_given_up_leaves_no_reply_to_the_next(redis_url: str) -> None:
    pool = make_pool(parse(redis_url).options[0])
    waiting = asyncio.create_task(exchange(pool, [("BLPOP", "nothing", 1), ("ECHO", "late")]))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert await exchange(pool, [("ECHO", "a"), ("ECHO", "b")]) == [b"a", b"b"]
    await pool.disconnect()


async def test_a_refusal_of_the_whole_connection_is_raised_and_the_connection_is_not_used_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(parse(redis_url).options[0])
    connection = await pool.get_connection()
    await pool.release(connection)
    monkeypatch.setattr(connection, "take_ready", lambda: [redis_errors.BusyLoadingError("loading"), b"for another"])

    with pytest.raises(redis_errors.BusyLoadingError):
        await exchange(pool, [("PING",), ("PING",), ("PING",)])

    assert not connection.is_connected
    monkeypatch.undo()
    assert await exchange(pool, [("PING",)]) == [b"PONG"]
    await pool.disconnect()


@pytest.mark.parametrize("turns", range(6))
async def test_whoever_is_cancelled_while_it_sends_ends(redis_url: str, turns: int) -> None:
    """At whatever turn of the loop it comes; asyncio.wait_for loses one of them on Python 3.11."""
    pool = make_pool(parse(redis_url).options[0])
    connection = await pool.get_connection()

    async def send_and_wait() -> None:
        await connection.send_packed_command(connection.pack_command("PING"))
        await asyncio.Event().wait()

    sending = asyncio.create_task(send_and_wait())
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending], timeout=1)

    assert sending.cancelled()
    await pool.release(connection)
    await pool.disconnect()


async def test_a_send_that_does_not_get_through_in_time_closes_the_connection(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(parse(redis_url).options[0])
    connection = await pool.get_connection()
    connection.socket_timeout = 0.01
    monkeypatch.setattr(connection, "_send_packed_command", lambda command: asyncio.Event().wait())

    with pytest.raises(redis_errors.TimeoutError, match="timeout while writing to redis"):
        await connection.send_packed_command(b"PING")

    assert not connection.is_connected
    await pool.release(connection)
    await pool.disconnect()
