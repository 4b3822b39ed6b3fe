"""Are the secrets secret? None is ever shown: they are named by their place in the list."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from pushpull.doctor.amounts import counted
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.errors import ConfigError
from pushpull.local_keys import with_local_keys
from pushpull.settings import Auth

SECRET_WEAK = error(
    "secret_weak",
    why="whoever guesses it signs tokens for every user; lists of such words are tried first",
    mend="put a new one behind it (openssl rand -base64 32), sign with that, take this one out (docs/security.md)",
)
API_KEY_WEAK = error(
    "api_key_weak",
    why="whoever guesses it reads and writes everything, as any user",
    mend="replace it (openssl rand -base64 32), in auth.api_keys and in your backend",
)
API_KEY_SHORT = warning(
    "api_key_short",
    why="a server key opens everything: it should be beyond guessing for good, not just for now",
    mend="replace it by one of 32 characters and more: openssl rand -base64 32",
)
WEBHOOK_SECRET_WEAK = error(
    "webhook_secret_weak",
    why="whoever guesses it can tell your app that somebody has news",
    mend="replace offline.webhook_secret (openssl rand -base64 32) here and in your app",
)
SECRET_REUSED = error(
    "secret_reused",
    why="who holds the one holds the other: an app that only checks webhooks could sign tokens",
    mend="give each a value of its own: openssl rand -base64 32",
)
NO_KEYS = error(
    "no_keys",
    why="with a Redis that is named the service does not start without something to verify tokens with",
    mend="set auth.jwt_secret, auth.public_keys or auth.jwks_url, the same on every node",
)
NO_API_KEY = warning(
    "no_api_key",
    why="no backend can make conversations, add members or ask anything: only devices with tokens are let in",
    mend="set auth.api_keys (openssl rand -base64 32), the same on every node",
)

ENOUGH_CHARACTERS = 24
FEWEST_DIFFERENT = 8
WORDS = re.compile(
    r"secret|passw|change.?me|example|default|pushpull|qwert|letmein|insecure|placeholder|your.?key"
    r"|0123456|1234567|abcdefg|(?<![a-z])test(?![a-z])",
    re.IGNORECASE,
)


def secrets(facts: Facts) -> Item:
    """Each secret for itself, and none for two things."""
    auth = facts.settings.auth
    findings = [*_missing(facts), *_weak(auth), *_webhook(facts), *_reused(facts)]
    kinds = {"signing secret": auth.jwt_secret, "API key": auth.api_keys, "public key": auth.public_keys}
    return Item("secrets", ", ".join(counted(len(some), kind) for kind, some in kinds.items()), tuple(findings))


def is_weak(value: str) -> bool:
    """Whether a person made it: a known word, few different characters, or a piece that repeats."""
    repeats = value in (value + value)[1:-1]
    return bool(repeats or len(set(value)) < FEWEST_DIFFERENT or WORDS.search(value))


def _missing(facts: Facts) -> Iterator[Finding]:
    if not facts.settings.redis.url:
        return  # a service makes its own there
    try:
        with_local_keys(facts.settings, {}, make=True)
    except ConfigError as problem:
        yield NO_KEYS.found(problem.message)
    if not facts.settings.auth.api_keys:
        yield NO_API_KEY.found("auth.api_keys is empty")


def _weak(auth: Auth) -> Iterator[Finding]:
    for position, secret in enumerate(auth.jwt_secret, 1):
        if is_weak(secret):
            yield SECRET_WEAK.found(f"auth.jwt_secret number {position} can be guessed")
    for position, key in enumerate(auth.api_keys, 1):
        if is_weak(key):
            yield API_KEY_WEAK.found(f"auth.api_keys number {position} can be guessed")
        elif len(key) < ENOUGH_CHARACTERS:
            yield API_KEY_SHORT.found(f"auth.api_keys number {position} has {len(key)} characters")


def _webhook(facts: Facts) -> Iterator[Finding]:
    secret = facts.settings.offline.webhook_secret
    try:
        text = base64.b64decode(secret.removeprefix("whsec_"), validate=True).decode("latin-1")
    except (ValueError, binascii.Error):
        return  # no start with that: contradictions
    if secret and is_weak(text):
        yield WEBHOOK_SECRET_WEAK.found("offline.webhook_secret can be guessed")


def _reused(facts: Facts) -> Iterator[Finding]:
    auth = facts.settings.auth
    named = [(f"auth.jwt_secret number {n}", each) for n, each in enumerate(auth.jwt_secret, 1)]
    named += [(f"auth.api_keys number {n}", each) for n, each in enumerate(auth.api_keys, 1)]
    if facts.settings.offline.webhook_secret:
        named.append(("offline.webhook_secret", facts.settings.offline.webhook_secret))
    seen: dict[str, str] = {}
    for name, value in named:
        first = seen.setdefault(value.removeprefix("whsec_"), name)
        if first != name:
            yield SECRET_REUSED.found(f"{name} is the same as {first}")
