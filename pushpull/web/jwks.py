"""The signing keys that an identity provider publishes at a URL (RFC 7517), fetched without blocking and kept.

Theory of operation: the set is fetched when it is first needed, again once it is older than `REFRESH_S`, and again
when a token names a `kid` that is not in it (the provider rotated), but two fetches never start within `COOLDOWN_S`:
tokens with invented kids must not become requests to the provider. One fetch runs at a time, all who wait share it.
A fetch that fails leaves the old keys in force.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pushpull.errors import StoreUnavailable

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

REFRESH_S: Final = 600.0
"""A key that the provider withdrew verifies for at most this long, as long as the provider answers."""
COOLDOWN_S: Final = 10.0
TIMEOUT_S: Final = 5.0
DOCUMENT_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 64
"""Further keys are ignored: a token without kid is tried against each."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str | None
    algorithm: str | None  # None: the key does not say, its type decides
    key: PublicKey


class JwksKeys:
    """The key set at `url`. One event loop's object."""

    def __init__(
        self,
        url: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None
        self._clock = clock
        self._keys: tuple[_Key, ...] = ()
        self._fetched_at: float | None = None  # when a fetch last succeeded
        self._tried_at: float | None = None  # when a fetch last started
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        """The keys that may have made a token with this `kid` and `algorithm`; those of another type are among them.

        Empty: the provider has no such key. Raises StoreUnavailable when the key is not at hand and the last fetch
        failed: nobody can tell then.
        """
        now = self._clock()
        if self._fetched_at is None or now - self._fetched_at >= REFRESH_S:
            await self._refresh(now)
        found = self._matching(kid, algorithm)
        if not found:
            await self._refresh(now)
            found = self._matching(kid, algorithm)
        if not found and self._failed:
            raise StoreUnavailable(
                "the signing keys of auth.jwks_url cannot be fetched", retry_after_ms=int(COOLDOWN_S * 1000)
            )
        return found

    async def aclose(self) -> None:
        """Stop a running fetch and close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _matching(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        return [
            known.key
            for known in self._keys
            if (kid is None or known.kid == kid) and known.algorithm in (None, algorithm)
        ]

    async def _refresh(self, now: float) -> None:
        """Join the fetch that runs, or start one unless the last started less than the cool-down ago."""
        if self._fetching is None:
            if self._tried_at is not None and now - self._tried_at < COOLDOWN_S:
                return
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetch_ended)
        # Shielded: one caller that goes away must not take the fetch from the others.
        await asyncio.shield(self._fetching)

    def _fetch_ended(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                document = await self._download()
            self._keys = _parse(document)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as problem:
            self._failed = True
            logger.warning("auth.jwks_url: fetching the signing keys failed: %s", type(problem).__name__)
            return
        self._failed = False
        self._fetched_at = self._clock()
        logger.info("auth.jwks_url: %s signing keys", len(self._keys))

    async def _download(self) -> bytes:
        if self._client is None:
            self._client = httpx2.AsyncClient(transport=self._transport, timeout=TIMEOUT_S)
        document = bytearray()
        async with self._client.stream("GET", self._url, headers={"Accept": "application/json"}) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                document += chunk
                if len(document) > DOCUMENT_BYTES_MAX:
                    raise ValueError(f"key set is over {DOCUMENT_BYTES_MAX} bytes")
        return bytes(document)


def _parse(document: bytes) -> tuple[_Key, ...]:
    """The usable public keys of a key set. Raises ValueError if it is none. Keys we cannot use are left out."""
    loaded = orjson.loads(document)
    listed = loaded.get("keys") if isinstance(loaded, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a key set: no list 'keys'")
    parsed = (_parse_key(fields) for fields in listed[:KEYS_MAX] if isinstance(fields, dict))
    return tuple(key for key in parsed if key is not None)


def _parse_key(fields: dict[str, Any]) -> _Key | None:
    if fields.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(fields).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    # What is left out here are shared secrets (`oct`), which no one publishes, and private keys.
    if not isinstance(key, PublicKey):
        return None
    kid, algorithm = fields.get("kid"), fields.get("alg")
    return _Key(
        kid=kid if isinstance(kid, str) else None, algorithm=algorithm if isinstance(algorithm, str) else None, key=key
    )
