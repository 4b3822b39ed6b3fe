"""The one factory of all connections to Redis: from `redis.url` to the servers behind it."""

from __future__ import annotations

from redis.asyncio import Redis

from pushpull.store.address import parse
from pushpull.store.cluster import Cluster
from pushpull.store.sentinel import Watched
from pushpull.store.servers import OneServer, Servers
from pushpull.store.sockets import make_pool


def connect(url: str) -> Servers:
    """Return the servers of `redis.url`; nothing is sent yet. ConfigError for a URL that cannot be used."""
    address = parse(url)
    match address.kind:
        case "one":
            return OneServer(make_pool(address.options[0]))
        case "cluster":
            return Cluster(address.options)
        case "sentinel":
            return Watched(address.options, address.name, address.primary)


def servers_of(client: Redis) -> Servers:
    """The servers behind a client of redis-py's own making: one server."""
    return OneServer(client.connection_pool)
