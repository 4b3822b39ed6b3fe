"""Who is calling: users by JWT, the app's own servers by API key.

A key serves only the algorithms of its own type. Secrets verify HS tokens, RSA keys verify RS and PS tokens, and so
on, so that a public key can never be taken for an HMAC secret, and `none` matches nothing. The token's `alg` only
selects among what `auth.jwt_algorithms` allows.

No token and no key stands in a message or a log line here.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidSubjectError

from pushpull.errors import ConfigError, Invalid, Unauthenticated
from pushpull.model import Claims, check_uid
from pushpull.settings import Auth
from pushpull.web.jwks import JwksKeys, PublicKey

TOKEN_CHARACTERS_MAX: Final = 8_192
"""Longer ones are refused unread: headers in front of us end at 8 to 16 KiB, and parsing costs time before a check."""

HEADERS_MAX: Final = 64
"""Token headers that are remembered: an issuer's tokens share one for each of its keys. Past it they are read anew."""

_KEY_TYPES: Final[dict[str, type[Any]]] = {
    "RS256": RSAPublicKey,
    "RS384": RSAPublicKey,
    "RS512": RSAPublicKey,
    "PS256": RSAPublicKey,
    "ES256": EllipticCurvePublicKey,
    "ES384": EllipticCurvePublicKey,
    "EdDSA": Ed25519PublicKey,
}
_HMAC: Final = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}

# What PyJWT, and the JSON and base64 under it, raise for garbage: a token is a stranger's input.
_REFUSALS: Final = (jwt.PyJWTError, ValueError, TypeError, RecursionError)


class _CheckedOnce(HMACAlgorithm):
    """PyJWT asks of an HMAC secret whether it might be a public key, with each token anew: a third of what one costs.

    What it thinks of a secret stays; bounded by the secrets of the settings, nothing else is asked about.
    """

    def __init__(self, hash_alg: Any) -> None:
        super().__init__(hash_alg)
        self._prepared: dict[str | bytes, bytes] = {}

    def prepare_key(self, key: str | bytes) -> bytes:
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = super().prepare_key(key)
        return prepared


class _Decoder(jwt.PyJWT):
    """PyJWT's own, with `_CheckedOnce` in its place; tests/web/test_auth.py holds what is leaned on."""

    def __init__(self) -> None:
        super().__init__()
        self._jws = jwt.PyJWS()
        for name, hash_alg in _HMAC.items():
            self._jws.unregister_algorithm(name)
            self._jws.register_algorithm(name, _CheckedOnce(hash_alg))


class Authenticator:
    """Verifies tokens and API keys against the `auth` settings. Raises ConfigError for keys that cannot work."""

    def __init__(self, settings: Auth, *, jwks: JwksKeys | None = None) -> None:
        """`jwks` replaces the key set that `settings.jwks_url` names (tests)."""
        self._algorithms = _checked_algorithms(settings.jwt_algorithms)
        self._secrets = tuple(secret.encode() for secret in settings.jwt_secret)
        self._public_keys = tuple(_public_key(pem, place) for place, pem in enumerate(settings.public_keys))
        self._check_keys_are_of_use()
        self._jwks = jwks or (JwksKeys(settings.jwks_url) if settings.jwks_url else None)
        self._decoder = _Decoder()
        self._audience = settings.audience or None
        self._issuer = settings.issuer or None
        self._leeway_s = settings.leeway_s
        self._headers: dict[str, tuple[str, str | None]] = {}  # encoded → what it says; at most HEADERS_MAX
        self._api_key_digests = tuple(_digest(key) for key in settings.api_keys if key)

    async def user(self, token: str) -> Claims:
        """Return what `token` says about its user.

        Raises Unauthenticated with the reason `token_expired` or `token_invalid`, and StoreUnavailable while the
        signing keys cannot be fetched: then nothing is known of the token, and the same one may pass later.
        Revocation is not looked at here: it is in the store.
        """
        algorithm, kid = self._read_header(token)
        if algorithm in _HMAC:
            return self._verified(token, algorithm, self._secrets)
        wanted = _KEY_TYPES[algorithm]
        keys = [key for key in self._public_keys if isinstance(key, wanted)]
        if self._jwks is not None:
            keys += [key for key in await self._jwks.find(kid, algorithm) if isinstance(key, wanted)]
        return self._verified(token, algorithm, keys)

    def server(self, key: str) -> bool:
        """Whether `key` is one of the API keys. Takes the same time whichever key it is, and however much matches."""
        given = _digest(key)
        found = False
        for known in self._api_key_digests:
            found |= hmac.compare_digest(given, known)
        return found

    async def aclose(self) -> None:
        """Close the connection that fetches keys, if there is one."""
        if self._jwks is not None:
            await self._jwks.aclose()

    def _check_keys_are_of_use(self) -> None:
        for place, key in enumerate(self._public_keys):
            usable = [name for name, wanted in _KEY_TYPES.items() if isinstance(key, wanted)]
            if not self._algorithms.intersection(usable):
                raise ConfigError(
                    f"auth.public_keys[{place}] verifies {', '.join(usable)}, but auth.jwt_algorithms allows only "
                    f"{', '.join(sorted(self._algorithms))}"
                )

    def _read_header(self, token: str) -> tuple[str, str | None]:
        """The token's `alg`, one of those allowed, and its `kid`. Nothing of it is verified yet."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise Unauthenticated(f"token of {len(token)} characters is over the limit of {TOKEN_CHARACTERS_MAX}")
        encoded = token.partition(".")[0]
        known = self._headers.get(encoded)
        if known is None:
            known = self._parse_header(token)
            if len(self._headers) >= HEADERS_MAX:
                self._headers.clear()
            self._headers[encoded] = known
        return known

    def _parse_header(self, token: str) -> tuple[str, str | None]:
        try:
            header = jwt.get_unverified_header(token)
        except _REFUSALS:
            raise Unauthenticated("token is not a signed JWT") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            allowed = ", ".join(sorted(self._algorithms))
            raise Unauthenticated(f"token algorithm {algorithm!a:.20} is not allowed, expected {allowed}")
        return algorithm, kid if isinstance(kid, str) else None

    def _verified(self, token: str, algorithm: str, keys: Any) -> Claims:
        """The claims, if one of `keys` made the signature and each claim holds."""
        for key in keys:
            try:
                payload = self._decoder.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=self._leeway_s,
                    # With no audience configured a token for anybody is taken: the keys alone decide.
                    options={"require": ["sub"], "verify_aud": self._audience is not None},
                )
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
                continue  # a rotated key, another curve: the next may fit
            except jwt.ExpiredSignatureError:
                raise Unauthenticated("token has expired", reason="token_expired") from None
            except _REFUSALS as problem:
                raise Unauthenticated(f"token is refused: {_why(problem)}") from None
            return _claims(payload)
        raise Unauthenticated(f"token signature matches none of the keys for {algorithm}")


def _claims(payload: dict[str, Any]) -> Claims:
    try:
        uid = check_uid(payload["sub"])
    except Invalid as problem:
        raise Unauthenticated(f"token claim 'sub': {problem.message}") from None
    return Claims(uid=uid, issued_at=_seconds(payload, "iat"), expires_at=_seconds(payload, "exp"))


def _seconds(payload: dict[str, Any], claim: str) -> float | None:
    """A time that PyJWT has already found to be a number, possibly written as a string."""
    value = payload.get(claim)
    try:
        return None if value is None else float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise Unauthenticated(f"token claim {claim!r} is not a time") from None


def _why(problem: Exception) -> str:
    """A reason that names the claim and none of the token's content."""
    match problem:
        case jwt.InvalidAudienceError():
            return "claim 'aud' is not the audience expected here"
        case jwt.InvalidIssuerError():
            return "claim 'iss' is not the issuer expected here"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet ('nbf' or 'iat' is in the future)"
        case jwt.MissingRequiredClaimError():
            return f"claim {problem.claim!r} is missing"
        case InvalidSubjectError():
            return "claim 'sub' is not a string"
        case _:
            return "it is malformed"


def _checked_algorithms(names: tuple[str, ...]) -> frozenset[str]:
    known = _HMAC.keys() | _KEY_TYPES.keys()
    for name in names:
        if name not in known:
            raise ConfigError(f"auth.jwt_algorithms: {name!a:.20} is not one of {', '.join(sorted(known))}")
    return frozenset(names)


def _public_key(pem: str, place: int) -> PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError):  # TypeError: a key type that the library does not know
        raise ConfigError(f"auth.public_keys[{place}] is not a public key in PEM") from None
    if not isinstance(key, PublicKey):
        raise ConfigError(f"auth.public_keys[{place}] is a {type(key).__name__}, expected RSA, EC or Ed25519")
    return key


def _digest(key: str) -> bytes:
    # Digests have one length, so that comparing them says nothing of a key's own.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
