"""The webhook over HTTP: signed as Standard Webhooks says, timed, tried again where it stumbles.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. The signature is
`v1,<base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>">`; the id is the event's and stays over all tries, the
timestamp is that of the try.

A receiver that cannot be reached or answers 5xx is tried again at once, TRIES times within a few seconds: that is for
a blip. What takes longer is the job's to try again. Redirects are not followed: a body goes where the settings say.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import math
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_random_exponential

from pushpull import __version__
from pushpull.node.webhook import Answer
from pushpull.settings import Offline

TRIES: Final = 3
WAIT_S: Final = 0.25
WAIT_MAX_S: Final = 1.0
ANSWER_BYTES: Final = 64 * 1024
"""Of an answer's body, which says nothing to us: read so that the connection can be used again."""

BLIPS: Final = frozenset({500, 502, 503, 504})
DELIVERED: Final = Answer("delivered")


def key_of(secret: str) -> bytes:
    """The signing key: base64, with or without `whsec_` before it. Raises ValueError for anything else."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def signature(key: bytes, event: str, timestamp: int, body: bytes) -> str:
    """`v1,…` over the event's id, the time of the call (s since 1970) and the body."""
    signed = b"%b.%d.%b" % (event.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def retry_after_s(value: str | None, now: float) -> float | None:
    """Retry-After, seconds or a date, as seconds from `now` (s since 1970); None: it is absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)


class HttpWebhook:
    """`offline.webhook_url`. One event loop's object; close it with `aclose`."""

    def __init__(
        self,
        settings: Offline,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = settings.webhook_url
        self._key = key_of(settings.webhook_secret)
        self._timeout_s = settings.timeout_s
        self._clock = clock
        self._client = httpx2.AsyncClient(transport=transport, timeout=settings.timeout_s, follow_redirects=False)
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=WAIT_S, max=WAIT_MAX_S),
            retry=retry_if_result(_is_blip),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )

    async def post(self, event: str, body: bytes) -> Answer:
        """See node.webhook. At most TRIES × `offline.timeout_s`, and the waits between."""
        tried: tuple[Answer, bool] = await self._retrying.copy()(self._try, event, body)
        return tried[0]

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _try(self, event: str, body: bytes) -> tuple[Answer, bool]:
        """One call; what became of it, and whether another at once makes sense."""
        timestamp = math.floor(self._clock())
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"pushpull/{__version__}",
            "webhook-id": event,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, event, timestamp, body),
        }
        answered: tuple[Answer, bool] | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                    answer = self._read(response)
                    answered = answer, response.status_code in BLIPS and answer.retry_after_s is None
                    await _drain(response)
        except (TimeoutError, httpx2.TimeoutException):
            return answered or (Answer("failed", f"no answer within {self._timeout_s:g} s"), False)
        except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
            return answered or (Answer("failed", f"it cannot be reached ({type(problem).__name__})"), True)
        return answered

    def _read(self, response: httpx2.Response) -> Answer:
        if response.is_success:
            return DELIVERED
        why = f"the receiver answered {response.status_code}"
        if response.status_code == 410:
            return Answer("gone", why)
        wish_s = retry_after_s(response.headers.get("retry-after"), self._clock())
        return Answer("failed", why, wish_s)


def _is_blip(tried: tuple[Answer, bool]) -> bool:
    return tried[1]


async def _drain(response: httpx2.Response) -> None:
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > ANSWER_BYTES:
            return


def webhook_of(settings: Offline) -> HttpWebhook | None:
    """The webhook that these settings name, if any."""
    return HttpWebhook(settings) if settings.webhook_url else None
