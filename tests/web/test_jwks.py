"""The key set of an identity provider, over a transport that plays the provider."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from pushpull.errors import StoreUnavailable, Unauthenticated
from pushpull.settings import Auth
from pushpull.web.auth import Authenticator
from pushpull.web.jwks import DOCUMENT_BYTES_MAX, JwksKeys

FIRST, SECOND = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()


def published(key: ed25519.Ed25519PrivateKey, kid: str, **fields: str) -> dict[str, Any]:
    return {**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **fields}


def signed(key: ed25519.Ed25519PrivateKey, kid: str | None) -> str:
    return jwt.encode({"sub": "alice"}, key, algorithm="EdDSA", headers={"kid": kid} if kid else None)


class Provider:
    """Publishes `keys`, counts how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.broken = False
        self.now = 0.0
        self.jwks = JwksKeys(
            "https://id.example/keys", transport=httpx2.MockTransport(self._answer), clock=lambda: self.now
        )
        self.authenticator = Authenticator(Auth(jwt_algorithms=("EdDSA",)), jwks=self.jwks)

    async def _answer(self, _request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        await asyncio.sleep(0)
        return httpx2.Response(500) if self.broken else httpx2.Response(200, json={"keys": self.keys})

    async def accepts(self, token: str) -> bool:
        try:
            return (await self.authenticator.user(token)).uid == "alice"
        except Unauthenticated:
            return False


async def test_keys_are_fetched_once_and_kept() -> None:
    provider = Provider(published(FIRST, "a"))
    assert await provider.accepts(signed(FIRST, "a"))
    provider.now = 500.0
    assert await provider.accepts(signed(FIRST, "a"))
    assert provider.asked == 1
    await provider.authenticator.aclose()


async def test_many_tokens_at_once_share_one_fetch() -> None:
    provider = Provider(published(FIRST, "a"))
    assert all(await asyncio.gather(*(provider.accepts(signed(FIRST, "a")) for _ in range(20))))
    assert provider.asked == 1


async def test_an_unknown_kid_fetches_again_because_the_provider_rotated() -> None:
    provider = Provider(published(FIRST, "a"))
    assert await provider.accepts(signed(FIRST, "a"))
    provider.keys.append(published(SECOND, "b"))
    provider.now = 20.0
    assert await provider.accepts(signed(SECOND, "b"))
    assert provider.asked == 2


async def test_invented_kids_do_not_become_requests_to_the_provider() -> None:
    provider = Provider(published(FIRST, "a"))
    for number in range(10):
        assert not await provider.accepts(signed(FIRST, f"invented-{number}"))
    assert provider.asked == 1


async def test_a_withdrawn_key_stops_verifying_at_the_next_refresh() -> None:
    provider = Provider(published(FIRST, "a"))
    assert await provider.accepts(signed(FIRST, "a"))
    provider.keys = [published(SECOND, "b")]
    provider.now = 601.0
    assert not await provider.accepts(signed(FIRST, "a"))


async def test_a_provider_that_fails_leaves_the_old_keys_in_force() -> None:
    provider = Provider(published(FIRST, "a"))
    assert await provider.accepts(signed(FIRST, "a"))
    provider.broken, provider.now = True, 601.0
    assert await provider.accepts(signed(FIRST, "a"))


async def test_a_provider_out_of_reach_is_temporary_and_no_verdict_on_the_token() -> None:
    provider = Provider(published(FIRST, "a"))
    provider.broken = True
    with pytest.raises(StoreUnavailable) as unknown:
        await provider.accepts(signed(FIRST, "a"))
    assert unknown.value.retry_after_ms == 10_000
    provider.broken, provider.now = False, 11.0
    assert await provider.accepts(signed(FIRST, "a"))


async def test_a_token_without_kid_is_tried_against_every_key() -> None:
    provider = Provider(published(FIRST, "a"), published(SECOND, "b"))
    assert await provider.accepts(signed(SECOND, None))


async def test_secret_keys_and_encryption_keys_in_the_set_verify_nothing() -> None:
    shared = {"kty": "oct", "kid": "s", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256"}
    provider = Provider(shared, published(FIRST, "a", use="enc"), {"kty": "RSA"}, published(SECOND, "b", use="sig"))
    authenticator = Authenticator(Auth(jwt_algorithms=("HS256", "EdDSA")), jwks=provider.jwks)
    forged = jwt.encode(
        {"sub": "alice"}, b"secret-secret-secret-secret-secret", algorithm="HS256", headers={"kid": "s"}
    )
    with pytest.raises(Unauthenticated):
        await authenticator.user(forged)
    assert not await provider.accepts(signed(FIRST, "a"))
    assert await provider.accepts(signed(SECOND, "b"))


@pytest.mark.parametrize(
    "document",
    [b"not json", b"[]", b'{"keys": 5}', b'{"keys": []}' + b" " * DOCUMENT_BYTES_MAX],
    ids=["text", "list", "number", "too large"],
)
async def test_a_document_that_is_no_key_set_counts_as_a_failure(document: bytes) -> None:
    jwks = JwksKeys(
        "https://id.example/keys", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=document))
    )
    with pytest.raises(StoreUnavailable):
        await jwks.find("a", "EdDSA")
    await jwks.aclose()
