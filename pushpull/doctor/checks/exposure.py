"""Who can reach, read or fake what goes over the wire?"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.settings import LOOPBACK

TLS_OFF = warning(
    "tls_off",
    why="every message, and the password of Redis, crosses the network readable and changeable",
    mend="rediss:// in redis.url, with TLS on the servers; or a network that carries nothing else, encrypted itself",
)
REDIS_OPEN = warning(
    "redis_open",
    why="whoever reaches its port reads and deletes everything",
    mend="requirepass or an ACL user on the servers, and the login in redis.url",
)
ORIGINS_ANY = warning(
    "origins_any",
    why="any web page may use your users' browsers to connect; only what they hold as a token stops it",
    mend='name the origins of your app: server.origins = ["https://chat.example.org"]',
)
TOKEN_IN_QUERY = warning(
    "token_in_query",
    why="URLs are logged by every proxy on the way, and the tokens with them",
    mend="server.token_in_query = false; browsers send the token in their first frame or as a subprotocol",
)
DEMO_EXPOSED = warning(
    "demo_exposed",
    why="on /demo whoever comes may be whom they like, on the data of this service",
    mend='server.demo = "auto" or "off"',
)
WEBHOOK_PLAIN = warning(
    "webhook_plain",
    why="who is told of what crosses the network readable: users and conversations",
    mend="an https:// URL in offline.webhook_url",
)
JWKS_PLAIN = error(
    "jwks_plain",
    why="whoever is on the way can put keys of their own in, and sign tokens for every user",
    mend="an https:// URL in auth.jwks_url",
)


def exposure(facts: Facts) -> Item:
    """TLS, logins, origins, and what is shown to strangers."""
    server = facts.settings.server
    findings = (*_redis(facts), *_web(facts), *_urls(facts))
    origins = ", ".join(server.origins) or "only its own"
    return Item("exposure", f"listens on {server.host}; origins: {origins}", findings)


def _redis(facts: Facts) -> Iterator[Finding]:
    redis = facts.redis
    if redis is None or facts.redis_is_here:
        return
    hosts = ", ".join(host for host in redis.hosts if host not in LOOPBACK)
    if not redis.tls:
        yield TLS_OFF.found(f"Redis at {hosts} is spoken to without TLS")
    if not redis.password:
        yield REDIS_OPEN.found(f"Redis at {hosts} is entered without a password")


def _web(facts: Facts) -> Iterator[Finding]:
    server = facts.settings.server
    if "*" in server.origins:
        yield ORIGINS_ANY.found("server.origins holds '*'")
    if server.token_in_query:
        yield TOKEN_IN_QUERY.found("server.token_in_query is true")
    if server.demo == "on" and server.host not in LOOPBACK:
        yield DEMO_EXPOSED.found(f"server.demo is on and server.host is {server.host}")


def _urls(facts: Facts) -> Iterator[Finding]:
    if _is_plain(facts.settings.offline.webhook_url):
        yield WEBHOOK_PLAIN.found("offline.webhook_url begins with http://")
    if _is_plain(facts.settings.auth.jwks_url):
        yield JWKS_PLAIN.found("auth.jwks_url begins with http://")


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK
