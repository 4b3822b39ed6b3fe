"""Tokens and keys: what passes, and each way in that must stay shut."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from jwt.algorithms import HMACAlgorithm

from pushpull.errors import ConfigError, Unauthenticated
from pushpull.settings import Algorithm, Auth
from pushpull.web import auth
from pushpull.web.auth import Authenticator

SECRET = "the-first-secret-of-32-characters!!"
OLD_SECRET = "the-other-secret-of-32-characters!!"
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def pem(private_key: Any) -> str:
    public = private_key.public_key()
    return str(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    )


def by_secret(**settings: Any) -> Authenticator:
    return Authenticator(Auth(jwt_secret=(SECRET,), **settings))


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    return jwt.encode({"sub": "alice", **claims}, key, algorithm=algorithm, headers=headers)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refusal(authenticator: Authenticator, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.user(token)
    assert len(token) < 20 or token not in refused.value.message
    return refused.value


async def test_a_signed_token_names_its_user_and_times() -> None:
    now = int(time.time())
    claims = await by_secret().user(signed(iat=now, exp=now + 60))
    assert (claims.uid, claims.issued_at, claims.expires_at) == ("alice", now, now + 60)


async def test_a_token_without_times_has_none() -> None:
    claims = await by_secret().user(signed())
    assert (claims.issued_at, claims.expires_at) == (None, None)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (ED_KEY, "EdDSA")])
async def test_a_token_verifies_with_a_public_key(key: Any, algorithm: Algorithm) -> None:
    authenticator = Authenticator(Auth(jwt_algorithms=(algorithm,), public_keys=(pem(key),)))
    assert (await authenticator.user(signed(key, algorithm))).uid == "alice"


async def test_every_secret_of_a_rotation_verifies_until_it_is_taken_out() -> None:
    both = Authenticator(Auth(jwt_secret=(SECRET, OLD_SECRET)))
    assert (await both.user(signed(SECRET))).uid == "alice"
    assert (await both.user(signed(OLD_SECRET))).uid == "alice"
    assert "signature" in (await refusal(by_secret(), signed(OLD_SECRET))).message


async def test_an_expired_token_says_so() -> None:
    refused = await refusal(by_secret(), signed(exp=int(time.time()) - 60))
    assert refused.reason == "token_expired"


async def test_leeway_forgives_a_clock_that_is_a_little_off() -> None:
    late, early = int(time.time()) - 5, int(time.time()) + 5
    assert (await by_secret(leeway_s=10.0).user(signed(exp=late, nbf=early))).uid == "alice"
    assert (await refusal(by_secret(leeway_s=0.0), signed(exp=late))).reason == "token_expired"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_from_the_future_is_refused(claim: str) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + 3_600}
    refused = await refusal(by_secret(), signed(**claims))
    assert refused.reason == "token_invalid"
    assert "not valid yet" in refused.message


async def test_alg_none_is_refused() -> None:
    unsigned = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'sub': 'alice'})}."
    assert "'none' is not allowed" in (await refusal(by_secret(), unsigned)).message


@pytest.mark.parametrize("alg", ["None", "hs256", "", None, 5, ["HS256"], "HS512", "RS256"])
async def test_an_algorithm_that_is_not_in_the_settings_is_refused(alg: Any) -> None:
    head, body = part({"alg": alg, "typ": "JWT"}), part({"sub": "alice"})
    digest = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    await refusal(by_secret(), f"{head}.{body}.{signature}")


@pytest.mark.parametrize("algorithms", [("HS256", "RS256"), ("RS256",)])
async def test_a_public_key_is_never_taken_for_an_hmac_secret(algorithms: Any) -> None:
    public = pem(RSA_KEY)
    authenticator = Authenticator(Auth(jwt_secret=(SECRET,), jwt_algorithms=algorithms, public_keys=(public,)))
    head, body = part({"alg": "HS256", "typ": "JWT"}), part({"sub": "alice"})
    digest = hmac.new(public.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    await refusal(authenticator, forged)


async def test_a_key_serves_only_the_algorithms_of_its_own_type() -> None:
    authenticator = Authenticator(Auth(jwt_algorithms=("RS256", "EdDSA"), public_keys=(pem(ED_KEY),)))
    assert (await authenticator.user(signed(ED_KEY, "EdDSA"))).uid == "alice"
    assert "RS256" in (await refusal(authenticator, signed(RSA_KEY, "RS256"))).message


async def test_keys_carried_by_the_token_are_not_believed() -> None:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
    other = rsa.generate_private_key(65537, 2048)
    authenticator = Authenticator(Auth(jwt_algorithms=("RS256",), public_keys=(pem(other),)))
    token = signed(RSA_KEY, "RS256", headers={"jwk": own, "jku": "http://localhost/keys", "kid": "../../dev/null"})
    assert "signature" in (await refusal(authenticator, token)).message


async def test_audience_and_issuer_must_be_the_configured_ones() -> None:
    authenticator = by_secret(audience="chat", issuer="https://id.example")
    good: dict[str, Any] = {"aud": ["mail", "chat"], "iss": "https://id.example"}
    assert (await authenticator.user(signed(**good))).uid == "alice"
    assert "'aud'" in (await refusal(authenticator, signed(**{**good, "aud": "mail"}))).message
    assert "'iss'" in (await refusal(authenticator, signed(**{**good, "iss": "https://evil.example"}))).message
    assert "'aud' is missing" in (await refusal(authenticator, signed(iss="https://id.example"))).message
    assert "'iss' is missing" in (await refusal(authenticator, signed(aud="chat"))).message


async def test_without_an_audience_in_the_settings_any_is_taken() -> None:
    assert (await by_secret().user(signed(aud="mail"))).uid == "alice"


@pytest.mark.parametrize("sub", ["", "a b", "x" * 129, "a/b", "ünïcode", "line\n"])
async def test_a_sub_that_is_no_uid_is_refused(sub: str) -> None:
    assert "'sub'" in (await refusal(by_secret(), signed(sub=sub))).message


async def test_a_missing_or_mistyped_sub_is_refused() -> None:
    missing = jwt.encode({"name": "alice"}, SECRET, algorithm="HS256")
    mistyped = f"{part({'alg': 'HS256'})}.{part({'sub': 5})}"
    digest = hmac.new(SECRET.encode(), mistyped.encode(), hashlib.sha256).digest()
    assert "'sub' is missing" in (await refusal(by_secret(), missing)).message
    token = f"{mistyped}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert "not a string" in (await refusal(by_secret(), token)).message


@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), "soon", [], {}, 10**400], ids=["inf", "nan", "text", "list", "object", "huge"]
)
@pytest.mark.parametrize("claim", ["exp", "iat"])
async def test_a_time_that_is_none_is_refused(claim: str, value: Any) -> None:
    head, body = part({"alg": "HS256"}), part({"sub": "alice", claim: value})
    digest = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    await refusal(by_secret(), f"{head}.{body}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "x" * 10_000,
        part([]) + ".e30.",
        part({"alg": "HS256", "kid": 5}) + ".e30.",
    ],
)
async def test_garbage_is_refused_like_any_other_token(garbage: str) -> None:
    assert (await refusal(by_secret(), garbage)).reason == "token_invalid"


async def test_a_header_nested_without_end_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=")
    await refusal(by_secret(), f"{deep}.e30.")


async def test_a_changed_payload_breaks_the_signature() -> None:
    head, _, signature = signed().split(".")
    assert "signature" in (await refusal(by_secret(), f"{head}.{part({'sub': 'bob'})}.{signature}")).message


async def test_a_header_that_is_known_vouches_for_nothing_behind_it() -> None:
    authenticator = by_secret()
    good = signed()
    await authenticator.user(good)
    head, payload, _ = good.split(".")
    for forged in (head, f"{head}.", f"{head}.{payload}", f"{head}.{payload}.", f"{head}.{part({'sub': 'bob'})}.AAAA"):
        assert (await refusal(authenticator, forged)).reason == "token_invalid"


async def test_what_headers_say_is_remembered_for_a_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "HEADERS_MAX", 2)
    authenticator = by_secret()
    parsed: list[str] = []
    read = jwt.get_unverified_header
    monkeypatch.setattr(jwt, "get_unverified_header", lambda token: parsed.append(token) or read(token))

    for kid in "aabca":
        await authenticator.user(signed(headers={"kid": kid}))

    assert [read(token)["kid"] for token in parsed] == ["a", "b", "c", "a"]


async def test_a_secret_is_examined_once_and_not_with_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[str | bytes] = []
    examine = HMACAlgorithm.prepare_key
    monkeypatch.setattr(HMACAlgorithm, "prepare_key", lambda self, key: examined.append(key) or examine(self, key))
    authenticator = Authenticator(Auth(jwt_secret=(SECRET, OLD_SECRET)))
    tokens = [signed(OLD_SECRET) for _ in range(3)]
    examined.clear()

    for token in tokens:
        await authenticator.user(token)

    assert examined == [SECRET.encode(), OLD_SECRET.encode()]


def test_each_api_key_opens_and_nothing_else_does() -> None:
    authenticator = Authenticator(Auth(api_keys=("one", "two", "")))
    assert authenticator.server("one")
    assert authenticator.server("two")
    for wrong in ("", "on", "one ", "three", "é", "\ud800"):
        assert not authenticator.server(wrong)


def test_without_api_keys_none_opens() -> None:
    assert not Authenticator(Auth()).server("")


@pytest.mark.parametrize(
    ("auth", "named"),
    [
        ({"jwt_algorithms": ("none",)}, "'none'"),
        ({"public_keys": ("no pem",), "jwt_algorithms": ("RS256",)}, "public_keys[0]"),
        ({"public_keys": (pem(RSA_KEY),)}, "RS256"),
        ({"public_keys": (pem(dsa.generate_private_key(1024)),)}, "expected RSA, EC or Ed25519"),
    ],
)
def test_settings_that_cannot_work_do_not_start(auth: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Authenticator(Auth(**auth))
    assert named in refused.value.message


async def test_a_key_of_another_curve_does_not_stop_the_search() -> None:
    other, own = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    authenticator = Authenticator(Auth(jwt_algorithms=("ES256",), public_keys=(pem(other), pem(own))))
    assert (await authenticator.user(signed(own, "ES256"))).uid == "alice"
