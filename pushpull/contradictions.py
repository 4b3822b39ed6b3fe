"""Settings that are each in range and do not go together, or that no type can check: URLs, keys, algorithms."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pushpull.settings import Auth, Offline, Server, Settings

REDIS_SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+cluster",
    "rediss+cluster",
    "redis+sentinel",
    "rediss+sentinel",
)
# RFC 7518, 3.2: an HMAC key is at least as long as the hash it makes.
HMAC_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
API_KEY_CHARACTERS: Final = 16
PORT_MAX: Final = 65_535

Problem = tuple[tuple[str, ...], str]
"""The keys to blame, and what is wrong in words that hold no secret."""


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Everything wrong with `settings` as a whole, nothing when they can be used."""
    yield from _ports(settings.server)
    yield from _disorder(settings)
    yield from _bad_urls(settings)
    yield from _bad_algorithms(settings.auth)
    yield from _bad_keys(settings.auth)
    if settings.redis.durability == "replicated" and not settings.redis.url:
        yield (
            ("redis.durability",),
            "redis.durability is replicated and redis.url is empty; the embedded Redis has no replicas",
        )
    yield from _bad_webhook(settings.offline)


def _bad_webhook(offline: Offline) -> Iterator[Problem]:
    """The secret is what every Standard Webhooks library takes: base64 of 24 to 64 bytes. Never shown."""
    if offline.webhook_url and not offline.webhook_secret:
        yield ("offline.webhook_url",), "offline.webhook_url is set without an offline.webhook_secret to sign with"
    if not offline.webhook_secret:
        return
    expectation = "expected base64 of 24 to 64 bytes, with or without whsec_ before it (openssl rand -base64 32)"
    try:
        size = len(base64.b64decode(offline.webhook_secret.removeprefix("whsec_"), validate=True))
    except ValueError:
        yield ("offline.webhook_secret",), f"offline.webhook_secret is not base64; {expectation}"
        return
    if not 24 <= size <= 64:
        yield ("offline.webhook_secret",), f"offline.webhook_secret is of {size} bytes; {expectation}"


def _ports(server: Server) -> Iterator[Problem]:
    last = server.worker_port + server.workers - 1
    if server.worker_port and last > PORT_MAX:
        yield (
            ("server.worker_port", "server.workers"),
            f"server.worker_port {server.worker_port} with {server.workers} workers ends at {last}; "
            f"expected {PORT_MAX} at most",
        )
    elif server.worker_port and server.worker_port <= server.port <= last:
        yield (
            ("server.worker_port", "server.port"),
            f"server.worker_port {server.worker_port} to {last} holds server.port {server.port}; expected others",
        )


def _disorder(settings: Settings) -> Iterator[Problem]:
    delivery, limits = settings.delivery, settings.limits
    for low, low_value, high, high_value in (
        (
            "delivery.notify_interval_ms",
            delivery.notify_interval_ms,
            "delivery.notify_interval_max_ms",
            delivery.notify_interval_max_ms,
        ),
        ("delivery.tail_bytes", delivery.tail_bytes, "delivery.tails_bytes", delivery.tails_bytes),
        ("limits.body_bytes", limits.body_bytes, "limits.frame_bytes", limits.frame_bytes),
        ("limits.frame_bytes", limits.frame_bytes, "limits.buffer_bytes", limits.buffer_bytes),
    ):
        if low_value > high_value:
            yield (low, high), f"{low} {low_value} is more than {high} {high_value}"


def _bad_urls(settings: Settings) -> Iterator[Problem]:
    for name, url in (
        ("auth.jwks_url", settings.auth.jwks_url),
        ("offline.webhook_url", settings.offline.webhook_url),
        ("tracing.endpoint", settings.tracing.endpoint),
    ):
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            yield (name,), f"{name} {url!r:.200}: expected an http:// or https:// URL"
    scheme = settings.redis.url.partition("://")[0]
    if settings.redis.url and scheme not in REDIS_SCHEMES:
        # Not shown: what has no known scheme may begin with anything, a password included.
        yield ("redis.url",), f"redis.url: expected one of {', '.join(f'{known}://' for known in REDIS_SCHEMES)}"
    for origin in settings.server.origins:
        parts = urlsplit(origin)
        if origin != "*" and (not parts.scheme or not parts.hostname or parts.path or parts.query or parts.fragment):
            yield ("server.origins",), f"server.origins {origin!r:.200}: expected scheme://host[:port] or '*'"


def _bad_algorithms(auth: Auth) -> Iterator[Problem]:
    """An algorithm nobody has a key for is a mistake, and a key no algorithm may use refuses every token."""
    symmetric = [algorithm for algorithm in auth.jwt_algorithms if algorithm in HMAC_BYTES]
    allowed = ", ".join(auth.jwt_algorithms)
    if not auth.jwt_algorithms:
        yield ("auth.jwt_algorithms",), "auth.jwt_algorithms is empty; expected at least one"
    elif auth.jwt_secret and not symmetric:
        names = ("auth.jwt_secret", "auth.jwt_algorithms")
        yield names, f"auth.jwt_secret is set and auth.jwt_algorithms has only {allowed}; expected HS256 among them"
    elif (auth.public_keys or auth.jwks_url) and len(symmetric) == len(auth.jwt_algorithms):
        yield (
            ("auth.public_keys", "auth.jwks_url", "auth.jwt_algorithms"),
            f"auth.public_keys or auth.jwks_url is set and auth.jwt_algorithms has only {allowed}; "
            "expected one with public keys, such as RS256 or EdDSA",
        )


def _bad_keys(auth: Auth) -> Iterator[Problem]:
    """Keys are named by their place in the list, never by their value."""
    least = max((HMAC_BYTES.get(algorithm, 0) for algorithm in auth.jwt_algorithms), default=0)
    for position, secret in enumerate(auth.jwt_secret, 1):
        size = len(secret.encode())
        if size < least:
            yield ("auth.jwt_secret",), f"auth.jwt_secret number {position} has {size} bytes; expected at least {least}"
    for position, key in enumerate(auth.api_keys, 1):
        if len(key) < API_KEY_CHARACTERS or not (key.isascii() and key.isprintable()) or " " in key:
            expectation = f"expected at least {API_KEY_CHARACTERS} printable ASCII characters without spaces"
            yield ("auth.api_keys",), f"auth.api_keys number {position} has {len(key)} characters; {expectation}"
    for position, key in enumerate(auth.public_keys, 1):
        if "-----BEGIN" not in key or "PRIVATE KEY" in key:
            yield ("auth.public_keys",), f"auth.public_keys number {position}: expected a public key in PEM"
