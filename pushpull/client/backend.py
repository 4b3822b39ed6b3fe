"""What the two server clients share: the address, the key, tokens, and when a call is tried again."""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import jwt
from tenacity import (
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_all,
    wait_random_exponential,
)

from pushpull import __version__
from pushpull.client.addresses import is_loopback
from pushpull.errors import ConfigError, Invalid, PushpullError, StoreUnavailable
from pushpull.model import check_uid

RETRY_S: Final = 15.0
"""How long a call is tried again: a restart of the service or a failover of Redis takes less."""
TIMEOUT_S: Final = 30.0
_jitter = wait_random_exponential(multiplier=0.1, max=2.0)


class Backend:
    """The address of a service, and what every call to it carries."""

    def __init__(self, url: str, key: str, *, jwt_secret: str | None = None) -> None:
        """`url`: http(s)://host[:port]. `key`: one of auth.api_keys. `jwt_secret`: only for `token`. Raises Invalid."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"url {url!r:.200} is not http:// or https:// with a host")
        self.url = url.rstrip("/")
        self._jwt_secret = jwt_secret
        self._client_options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"X-API-Key": key, "User-Agent": f"pushpull-python/{__version__}"},
            "timeout": TIMEOUT_S,
            "trust_env": not is_loopback(url),
        }

    def token(self, uid: str, ttl_s: float = 3600) -> str:
        """A token (HS256) that lets `uid` in for `ttl_s` seconds. Raises ConfigError without a `jwt_secret`."""
        if self._jwt_secret is None:
            raise ConfigError("no jwt_secret was given to make tokens with")
        now = int(time.time())
        return jwt.encode({"sub": check_uid(uid), "iat": now, "exp": now + int(ttl_s)}, self._jwt_secret, "HS256")


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, PushpullError) and error.temporary


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = (error.retry_after_ms or 0) / 1000 if isinstance(error, PushpullError) else 0.0
    return max(asked_s, _jitter(state))


def retry_rules(retry_s: float) -> dict[str, Any]:
    """For tenacity. Every call may be tried again: all of them set a state, or carry a cmid that was made once."""
    # Twice at least: an attempt that hangs in a node that goes away may take all of the time by itself.
    stop = stop_all(stop_after_delay(retry_s), stop_after_attempt(2))
    return {"retry": retry_if_exception(_is_temporary), "wait": _wait, "stop": stop, "reraise": True}


class Unreachable(StoreUnavailable):
    """The connection was refused or lost: nothing was stored, or it is not known."""


def unreachable(url: str, error: httpx2.TransportError) -> Unreachable:
    """What a failed connection means to a caller."""
    return Unreachable(f"no answer from {url}: {type(error).__name__}")
