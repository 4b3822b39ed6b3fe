"""Connections to Redis, and the pools of them. A client never retries here: a retried write may run twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import hiredis
from redis import exceptions as redis_errors
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from pushpull.errors import ConfigError

MAX_CONNECTIONS: Final = 16  # to one server; past it a call waits for a connection to come back, at most POOL_WAIT_S
POOL_WAIT_S: Final = 5.0
HEALTH_CHECK_S: Final = 5  # a connection idle for longer is pinged before it is used again

SOCKET_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 1.5

# Where another server may take over, one that hangs is given up sooner.
REPLACED_SOCKET_TIMEOUT_S: Final = 2.0
REPLACED_CONNECT_TIMEOUT_S: Final = 1.0


class Batching:
    """What redis-py's asyncio connections lack for many calls at a time.

    Commands are packed by hiredis: redis-py does it in Python, which was half the cost of a call. Replies that came in
    one read are taken in one go: redis-py sets and cancels a timer for each of them. And what is sent is not waited for
    by asyncio.wait_for, which before Python 3.12 loses a cancellation that comes as the wait ends: whoever was told to
    end went on for ever.
    """

    _parser: Any  # redis-py's own, around a hiredis.Reader; tests/store/test_wire.py holds what is leaned on

    async def send_packed_command(self: Any, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send it, connecting first where need be. Raises redis-py's ConnectionError and TimeoutError; then, and when
        it is cancelled, the connection is closed: part of a command may have gone."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(_packed(command))
        except BaseException as error:
            await self.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise redis_errors.TimeoutError("timeout while writing to redis") from None
            if isinstance(error, OSError):
                raise redis_errors.ConnectionError(f"error while writing to redis: {error}") from error
            raise

    def take_ready(self) -> list[Any]:
        """The replies that are here already, in order, without waiting; what Redis refused is an exception there."""
        take, replies = self._parser._reader.gets, []
        while (reply := take()) is not NOT_ENOUGH_DATA:
            replies.append(reply)
        return replies

    def pack_command(self, *args: Any) -> list[bytes]:
        return [hiredis.pack_command(args)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        return [b"".join(hiredis.pack_command(tuple(command)) for command in commands)]


def _packed(command: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(command, str):
        command = command.encode()
    return [command] if isinstance(command, bytes) else command


class Plain(Batching, Connection):
    pass


class Tls(Batching, SSLConnection):
    pass


class Unix(Batching, UnixDomainSocketConnection):
    pass


_CLASSES: Final[dict[type, type]] = {SSLConnection: Tls, UnixDomainSocketConnection: Unix}


def class_of(options: Mapping[str, Any]) -> type:
    """The connection class for what redis-py's parse_url made of a URL."""
    return _CLASSES.get(options.get("connection_class", Connection), Plain)


def make_pool(options: Mapping[str, Any], *, replaced: bool = False, connection_class: type | None = None) -> Any:
    """A pool of at most MAX_CONNECTIONS; nothing is sent yet. `replaced`: another server may take this one's place.

    ConfigError for an option of the URL that redis-py does not know.
    """
    try:
        pool: Any = BlockingConnectionPool(  # its methods have no types
            **{
                **options,
                "connection_class": class_of(options) if connection_class is None else connection_class,
                "max_connections": MAX_CONNECTIONS,
                "timeout": POOL_WAIT_S,
                "socket_timeout": REPLACED_SOCKET_TIMEOUT_S if replaced else SOCKET_TIMEOUT_S,
                "socket_connect_timeout": REPLACED_CONNECT_TIMEOUT_S if replaced else CONNECT_TIMEOUT_S,
                "health_check_interval": HEALTH_CHECK_S,
                "retry": Retry(NoBackoff(), 0),
                "protocol": 2,
                "decode_responses": False,
            }
        )
        pool.make_connection()
    except TypeError:
        raise ConfigError(
            "redis.url has an option that is not known: expected those of redis-py's connections"
        ) from None
    return pool
