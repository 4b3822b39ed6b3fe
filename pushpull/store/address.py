"""`redis.url` taken apart: which kind of Redis, at which hosts, with what options. Errors hold no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

from redis.asyncio.connection import parse_url

from pushpull.errors import ConfigError

Kind = Literal["one", "cluster", "sentinel"]

KINDS: Final[dict[str, tuple[Kind, str]]] = {
    "redis": ("one", "redis"),
    "rediss": ("one", "rediss"),
    "unix": ("one", "unix"),
    "redis+cluster": ("cluster", "redis"),
    "rediss+cluster": ("cluster", "rediss"),
    "redis+sentinel": ("sentinel", "redis"),
    "rediss+sentinel": ("sentinel", "rediss"),
}
"""Scheme → what it stands for, and the scheme of each single connection."""

SHAPES: Final[dict[Kind, str]] = {
    "one": "scheme://[user:password@]host:port/db",
    "cluster": "redis+cluster://[user:password@]host:port,host:port",
    "sentinel": "redis+sentinel://[user:password@]host:port,host:port/name[/db]",
}

_OWN: Final = frozenset(
    {"max_connections", "timeout", "socket_timeout", "socket_connect_timeout", "health_check_interval", "retry"}
    | {"protocol", "decode_responses", "retry_on_timeout", "retry_on_error"}
)
"""Options that the service sets itself."""

_OF_SENTINEL: Final = {"sentinel_username": "username", "sentinel_password": "password"}


@dataclass(frozen=True, slots=True)
class Address:
    """`options`: redis-py's connection arguments, one set for each host. Hosts of `sentinel` are the sentinels'."""

    kind: Kind
    options: list[dict[str, Any]] = field(repr=False)
    name: str = ""  # what the sentinels call the primary
    primary: dict[str, Any] = field(default_factory=dict, repr=False)  # its arguments, but for host and port


def parse(url: str) -> Address:
    """Take `url` apart. ConfigError: not a scheme of KINDS, or not of that kind's shape."""
    scheme, _, rest = url.partition("://")
    if scheme not in KINDS:
        known = ", ".join(f"{each}://" for each in KINDS)
        raise ConfigError(f"redis.url scheme {scheme[:20]!r} is not known: expected one of {known}")
    kind, single = KINDS[scheme]
    try:
        match kind:
            case "one":
                return Address(kind, [_options(url)])
            case "cluster":
                return _cluster(single, rest)
            case "sentinel":
                return _sentinel(single, rest)
    except ValueError:
        raise ConfigError(f"redis.url cannot be parsed: expected {SHAPES[kind]}") from None


def _cluster(single: str, rest: str) -> Address:
    where, query = _split(rest)
    hosts, _, path = where.partition("/")
    if path.strip("/0"):
        raise ConfigError("redis.url names a database: a cluster has only database 0")
    return Address("cluster", [_options(f"{single}://{host}{query}") for host in _hosts(hosts)])


def _sentinel(single: str, rest: str) -> Address:
    where, query = _split(rest)
    hosts, _, path = where.partition("/")
    name, _, db = path.partition("/")
    if not name:
        raise ConfigError(f"redis.url names no primary: expected {SHAPES['sentinel']}")
    asked = dict(parse_qsl(query.removeprefix("?")))
    own = {option: asked.pop(option) for option in _OF_SENTINEL if option in asked}
    query = f"?{urlencode(asked)}" if asked else ""
    each = [_options(f"{single}://{host}{query}") for host in _hosts(hosts)]
    primary = {option: value for option, value in each[0].items() if option not in ("host", "port")}
    if db:
        primary["db"] = int(db)
    login = {_OF_SENTINEL[option]: value for option, value in own.items()}
    sentinels = [
        {k: v for k, v in options.items() if k not in ("username", "password", "db")} | login for options in each
    ]
    return Address("sentinel", sentinels, name, primary)


def _split(rest: str) -> tuple[str, str]:
    """Hosts and path, and the query with its question mark. The last "@" ends the login: it may hold any of these."""
    login, at, where = rest.rpartition("@")
    where, mark, query = where.partition("?")
    return login + at + where, mark + query


def _hosts(hosts: str) -> list[str]:
    """`user:password@h1:p1,h2:p2` as one such for each host; ValueError for none, or one without a port."""
    login, at, where = hosts.rpartition("@")
    found = where.split(",")
    if not all(host.rpartition(":")[2].isdigit() and host.rpartition(":")[0] for host in found):
        raise ValueError
    return [f"{login}{at}{host}" for host in found]


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))
    taken = sorted(_OWN & options.keys())
    if taken:
        raise ConfigError(f"redis.url option {taken[0]} is the service's own: expected it to be left out")
    return options
