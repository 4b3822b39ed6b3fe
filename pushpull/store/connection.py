"""The one client factory, and the translation of what Redis and the network say into the service's own errors.

The client itself never retries: a retried write may run twice. Calls that may be repeated safely are repeated here,
around the whole call, for about as long as a sender is willing to wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import hiredis
from redis import exceptions as redis_errors
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from pushpull.errors import ConfigError, StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

SCHEMES: Final = ("redis", "rediss", "unix")
MAX_CONNECTIONS: Final = 16  # past it a call waits for a connection to come back, at most POOL_WAIT_S
POOL_WAIT_S: Final = 5.0
SOCKET_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 1.5
HEALTH_CHECK_S: Final = 5  # a connection idle for longer is pinged before it is used again
RETRY_FOR_S: Final = 3.0
RETRY_WAIT_S: Final = 0.05  # at most, before the first retry

_REFUSALS: Final = {
    "READONLY": "is read-only",
    "OOM": "is out of memory",
    "MISCONF": "cannot write to its disk",
    "NOREPLICAS": "has too few replicas",
    "CLUSTERDOWN": "is a cluster that is down",
    "MASTERDOWN": "has lost its primary",
    "LOADING": "is loading its data",
    "BUSY": "is busy with a script",
    "TRYAGAIN": "is moving a slot",
    "NOAUTH": "asks for a password",
    "WRONGPASS": "refuses the password",
    "NOPERM": "refuses the command to this user",
}

_PREFIX_OF_CLASS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis_errors.BusyLoadingError, "LOADING"),
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.MasterDownError, "MASTERDOWN"),
    (redis_errors.ClusterDownError, "CLUSTERDOWN"),
    (redis_errors.TryAgainError, "TRYAGAIN"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.AuthenticationError, "WRONGPASS"),
)

_CODE = re.compile(r"-?([A-Z]{2,})\b")

LOST: Final = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)
"""The connection is gone or silent: whether the call was carried out is not known."""


class _Batching:
    """What redis-py's asyncio connections lack for many calls at a time.

    Commands are packed by hiredis: redis-py does it in Python, which was half the cost of a call. Replies that came in
    one read are taken in one go: redis-py sets and cancels a timer for each of them.
    """

    _parser: Any  # redis-py's own, around a hiredis.Reader; tests/store/test_wire.py holds what is leaned on

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


class _Plain(_Batching, Connection):
    pass


class _Tls(_Batching, SSLConnection):
    pass


class _Unix(_Batching, UnixDomainSocketConnection):
    pass


_CONNECTIONS: Final[dict[type, type]] = {SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    return options | {"connection_class": _CONNECTIONS.get(options.get("connection_class", Connection), _Plain)}


def connect(url: str) -> Redis:
    """Return a client for `redis://`, `rediss://` or `unix://`; nothing is sent yet. ConfigError for other schemes."""
    scheme = url.partition("://")[0]
    if scheme in ("redis+sentinel", "redis+cluster"):
        raise ConfigError(f"redis.url scheme {scheme} is not in this release: expected redis://, rediss:// or unix://")
    if scheme not in SCHEMES:
        raise ConfigError(f"redis.url scheme {scheme[:20]!r} is not known: expected redis://, rediss:// or unix://")
    try:
        pool = BlockingConnectionPool(
            **_options(url),
            max_connections=MAX_CONNECTIONS,
            timeout=POOL_WAIT_S,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            health_check_interval=HEALTH_CHECK_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=False,
        )
    except ValueError:
        raise ConfigError("redis.url cannot be parsed: expected scheme://[user:password@]host:port/db") from None
    return Redis.from_pool(pool)


def take_ready(connection: Any) -> list[Any]:
    """See _Batching.take_ready; nothing where the connection is not of `connect`'s making: that is read one by one."""
    return connection.take_ready() if isinstance(connection, _Batching) else []


async def pipelined(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Send commands in one pipeline; replies in order, what Redis refused is a ResponseError among them.

    Raises one of LOST, or another redis error that says the same of the whole connection.
    """
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))


async def exchange(client: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What `pipelined` does, at a fraction of its cost a command, with the replies as they came.

    redis-py's pipeline is for clients that have more than one connection pool (a cluster's).
    """
    if not isinstance(client, Redis):
        return await pipelined(client, commands)
    pool: Any = client.connection_pool  # its methods have no types
    connection = await pool.get_connection()
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
    finally:
        await pool.release(connection)


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


def unavailable(error: BaseException, what: str) -> StoreUnavailable:
    """Translate what went wrong during `what` (a script's or command's name). What is unexpected is logged, too."""
    code = _code_of(error)
    if code in _REFUSALS:
        return StoreUnavailable(f"redis {_REFUSALS[code]} ({code})")
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return StoreUnavailable("redis does not answer in time")
    if isinstance(error, LOST):
        return StoreUnavailable("redis cannot be reached")
    logger.error("redis failed %s: %s %s", what, type(error).__name__, _safe_text(error))
    return StoreUnavailable(f"redis failed {what} ({code or type(error).__name__})")


def _code_of(error: BaseException) -> str:
    for cls, code in _PREFIX_OF_CLASS:
        if isinstance(error, cls):
            return code
    match = _CODE.match(str(error)) if isinstance(error, redis_errors.ResponseError) else None
    return match.group(1) if match else ""


def _safe_text(error: BaseException) -> str:
    """The error's text, unless Redis repeats arguments in it: those may hold a body."""
    text = str(error)
    return "(text withheld)" if "args" in text else text[:200]


async def guarded(what: str, attempt: Callable[[], Awaitable[T]], *, again: bool) -> T:
    """Await `attempt()`; Redis' errors come out as StoreUnavailable.

    With `again` the attempt is repeated while the connection is lost, for about RETRY_FOR_S: for calls that may
    run twice only.
    """
    began = time.monotonic()
    try:
        try:
            return await attempt()  # by itself: tenacity costs 20 µs, as much as the rest of a small call
        except LOST:
            left_s = RETRY_FOR_S - (time.monotonic() - began)
            if not again or left_s <= 0:
                raise
            await asyncio.sleep(random.uniform(0, RETRY_WAIT_S))
        async for each in AsyncRetrying(
            stop=stop_after_delay(left_s),
            wait=wait_random_exponential(multiplier=RETRY_WAIT_S, max=0.5),
            retry=retry_if_exception_type(LOST),
            reraise=True,
        ):
            with each:
                return await attempt()
    except (redis_errors.RedisError, OSError) as error:
        raise unavailable(error, what) from error
    raise AssertionError("the retry loop ends by an answer or an error")
