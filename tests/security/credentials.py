"""Tokens and keys that must open nothing, and how each would be made by somebody who wants in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.service import API_KEY, SECRET, token_of

RSA_KEY = rsa.generate_private_key(65537, 2048)
_OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
PUBLIC_PEM = (
    RSA_KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
AUTH: dict[str, Any] = {"jwt_algorithms": ("HS256", "RS256"), "public_keys": (PUBLIC_PEM,), "leeway_s": 0.0}
"""Secrets and public keys side by side: what a forger needs to play one against the other."""

MEMBER = "bob"


def part(value: Any) -> str:
    """One part of a token, as JWTs encode it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def hand_signed(header: dict[str, Any], payload: dict[str, Any], secret: str) -> str:
    """An HS256 signature over whatever header and payload: libraries refuse to make some of these."""
    signed = f"{part(header)}.{part(payload)}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


CLAIMS = {"sub": MEMBER, "iat": 1_700_000_000, "exp": 4_000_000_000}

FORGED: dict[str, str] = {
    "expired": token_of(MEMBER, exp=1_700_000_000),
    "wrong key": jwt.encode(CLAIMS, "not-the-secret-but-as-long-as-it!!", "HS256"),
    "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(CLAIMS)}.",
    "alg none, signed": hand_signed({"alg": "none"}, CLAIMS, SECRET),
    "public key as HMAC secret": hand_signed({"alg": "HS256", "typ": "JWT"}, CLAIMS, PUBLIC_PEM),
    "RS256 with the HMAC secret": hand_signed({"alg": "RS256", "typ": "JWT"}, CLAIMS, SECRET),
    "another RSA key": jwt.encode(CLAIMS, _OTHER_RSA_KEY, "RS256"),
    "another algorithm": jwt.encode(CLAIMS, SECRET * 2, "HS512"),
    "not valid yet": token_of(MEMBER, nbf=4_000_000_000),
    "issued in the future": token_of(MEMBER, iat=4_000_000_000, exp=None),
    "no sub": token_of(MEMBER, sub=None),
    "sub that is no name": token_of("bob\r\nx: y"),
    "sub of another type": hand_signed({"alg": "HS256"}, {**CLAIMS, "sub": ["bob"]}, SECRET),
    "empty secret": jwt.encode(CLAIMS, "\0" * 32, "HS256"),
    "huge": token_of(MEMBER, padding="x" * 20_000),
    "own key in the header": jwt.encode(
        CLAIMS,
        _OTHER_RSA_KEY,
        "RS256",
        headers={"kid": "../../dev/null", "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/"},
    ),
    "API key": API_KEY,
    "garbage": "a.b.c",
}
"""What it is → the token. Each claims to be a member of the room."""

REASONS = {name: "token_expired" if name == "expired" else "token_invalid" for name in FORGED}

FORGED_HEADERS: dict[str, dict[str, str]] = {
    "no token": {},
    **{name: {"Authorization": f"Bearer {token}"} for name, token in FORGED.items()},
    "no bearer": {"Authorization": token_of(MEMBER)},
    "basic": {"Authorization": f"Basic {base64.b64encode(f'{MEMBER}:{API_KEY}'.encode()).decode()}"},
    "wrong server key": {"X-API-Key": "not-an-api-key"},
    "empty server key": {"X-API-Key": ""},
    "server key cut short": {"X-API-Key": API_KEY[:-1]},
    "signing secret as key": {"X-API-Key": SECRET},
    "token as key": {"X-API-Key": token_of(MEMBER)},
    "wrong server key, good token": {"X-API-Key": "not-an-api-key", "Authorization": f"Bearer {token_of(MEMBER)}"},
}
"""What it is → the headers of a request that must be answered with 401."""
