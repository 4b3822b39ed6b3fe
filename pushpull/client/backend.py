"""What the two server clients share: the address, the key, tokens, and when a call is tried again."""

from __future__ import annotations

import random
import time
from typing import Any, Final, TypeVar
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
from pushpull.client.addresses import Urls, is_loopback, urls_in
from pushpull.client.calls import Call
from pushpull.client.rotation import Rotation
from pushpull.errors import ConfigError, Invalid, PushpullError, StoreUnavailable
from pushpull.model import check_uid

RETRY_S: Final = 15.0
"""How long a call is tried again: a restart of the service or a failover of Redis takes less."""
TIMEOUT_S: Final = 30.0
CONNECT_S: Final = 2.0
ONE_OF_MANY_S: Final = 10.0
"""Of several nodes one may hang: adding 10,000 members, the longest call, takes less than this."""
T = TypeVar("T")

_jitter = wait_random_exponential(multiplier=0.1, max=2.0)


class Backend:
    """The addresses of a service, and what every call to it carries."""

    def __init__(self, url: Urls, key: str, *, jwt_secret: str | None = None, retry_s: float = RETRY_S) -> None:
        """`url`: http(s)://host[:port]; of several nodes as a list, or separated by commas. `key`: one of
        auth.api_keys. `jwt_secret`: only for `token`. `retry_s`: how long a call is tried again. Raises Invalid."""
        urls = urls_in(url)
        for each in urls:
            parts = urlsplit(each)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise Invalid(f"url {each!r:.200} is not http:// or https:// with a host")
        self._nodes = Rotation(urls, random.random)
        self._jwt_secret = jwt_secret
        self._client_options: dict[str, Any] = {
            "headers": {"X-API-Key": key, "User-Agent": f"pushpull-python/{__version__}"},
            "timeout": TIMEOUT_S if len(urls) == 1 else httpx2.Timeout(ONE_OF_MANY_S, connect=CONNECT_S),
            "trust_env": not all(map(is_loopback, urls)),
        }
        self._retry = self._rules(retry_s)

    @property
    def url(self) -> str:
        """The node that is asked next."""
        return self._nodes.current

    def _rules(self, retry_s: float) -> dict[str, Any]:
        """For tenacity. Every call may be tried again: all of them set a state, or carry a cmid that was made once."""
        # Twice at least: an attempt that hangs in a node that goes away may take all of the time by itself.
        stop = stop_all(stop_after_delay(retry_s), stop_after_attempt(max(2, len(self._nodes))))
        return {"retry": retry_if_exception(_is_temporary), "wait": self._wait, "stop": stop, "reraise": True}

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = (error.retry_after_ms or 0) / 1000 if isinstance(error, PushpullError) else 0.0
        elsewhere = isinstance(error, StoreUnavailable) and state.attempt_number % len(self._nodes) != 0
        return 0.0 if elsewhere else max(asked_s, _jitter(state))

    def _outcome(self, call: Call[T], url: str, response: httpx2.Response) -> T:
        """What the answer of the node at `url` means; one that cannot do its work is not asked next."""
        try:
            return call.answer(response)
        except StoreUnavailable:
            self._nodes.failed(url)
            raise

    def _unreachable(self, url: str, error: httpx2.TransportError) -> Unreachable:
        """What a failed connection means to a caller; the next call goes elsewhere."""
        self._nodes.failed(url)
        return Unreachable(f"no answer from {url}: {type(error).__name__}")

    def token(self, uid: str, ttl_s: float = 3600) -> str:
        """A token (HS256) that lets `uid` in for `ttl_s` seconds. Raises ConfigError without a `jwt_secret`."""
        if self._jwt_secret is None:
            raise ConfigError("no jwt_secret was given to make tokens with")
        now = int(time.time())
        return jwt.encode({"sub": check_uid(uid), "iat": now, "exp": now + int(ttl_s)}, self._jwt_secret, "HS256")


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, PushpullError) and error.temporary


class Unreachable(StoreUnavailable):
    """The connection was refused or lost: nothing was stored, or it is not known."""
