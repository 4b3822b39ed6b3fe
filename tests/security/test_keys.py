"""Keys: a published key opens only what it signed under its own name, and no key can be guessed step by step."""

from __future__ import annotations

import hmac
from typing import Any

import jwt
import pytest

from pushpull.errors import Unauthenticated
from pushpull.settings import Auth
from pushpull.web.auth import Authenticator
from tests.security.credentials import CLAIMS, hand_signed
from tests.web.test_jwks import FIRST, SECOND, Provider, published, signed


@pytest.mark.parametrize("kid", ["b", "", "A", "a\0", "../a", "a' OR '1'='1", "x" * 4_000])
async def test_a_token_that_names_another_key_is_refused(kid: str) -> None:
    provider = Provider(published(FIRST, "a"), published(SECOND, "b"))

    token = jwt.encode({"sub": "alice"}, FIRST, algorithm="EdDSA", headers={"kid": kid})

    assert not await provider.accepts(token)
    assert await provider.accepts(signed(FIRST, "a"))


@pytest.mark.parametrize(
    "header", [{"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/"}, {"jwk": {}}]
)
async def test_a_token_that_brings_keys_sends_nobody_to_fetch_them(header: dict[str, Any]) -> None:
    provider = Provider(published(FIRST, "a"))

    token = jwt.encode({"sub": "alice"}, SECOND, algorithm="EdDSA", headers={"kid": "a", **header})

    assert not await provider.accepts(token)
    assert provider.asked == 1


async def test_a_published_key_is_no_hmac_secret() -> None:
    key = published(FIRST, "a")
    provider = Provider(key)
    authenticator = Authenticator(Auth(jwt_algorithms=("HS256", "EdDSA")), jwks=provider.jwks)

    for secret in (key["x"], str(key)):
        with pytest.raises(Unauthenticated):
            await authenticator.user(hand_signed({"alg": "HS256", "kid": "a"}, CLAIMS, secret))


@pytest.mark.parametrize("given", ["the-first-of-the-keys", "the-last-of-the-keys!", "t", "", "none of them"])
def test_a_servers_key_is_compared_with_each_in_constant_time(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    authenticator = Authenticator(Auth(api_keys=("the-first-of-the-keys", "the-last-of-the-keys!")))
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    authenticator.server(given)

    assert compared == [(32, 32)] * 2, "each, whatever the others said, by digests of one length"
