"""Where a device gets its token, and until when one is good."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from pushpull.errors import Unauthenticated

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function (plain or async) that returns a fresh one. Only with a function can a session outlive it."""

REFRESH_SHARE: Final = 0.8
"""A token is replaced after this share of the time it had left when it was taken up."""


class _Claims(msgspec.Struct):
    exp: float | None = None


class TokenSource:
    """The token in use, and the way to the next."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._current: str | None = token if isinstance(token, str) else None

    @property
    def renewable(self) -> bool:
        return not isinstance(self._token, str)

    async def current(self) -> str:
        """The token in use; the first call of a function happens here."""
        return self._current if self._current is not None else await self.fresh()

    async def fresh(self) -> str:
        """A token that is not the one in use. Raises Unauthenticated without one; what the function raises passes."""
        old = self._current
        if not isinstance(self._token, str):
            answer = self._token()
            self._current = await answer if inspect.isawaitable(answer) else answer
        if self._current is None or self._current == old:
            raise Unauthenticated("the token was refused and there is no new one", reason="token_expired")
        return self._current


def expiry_of(token: str) -> float | None:
    """When a JWT expires, in seconds since 1970; None when it does not say, or is no JWT. Nothing is verified."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(claims, type=_Claims).exp
    except (ValueError, msgspec.DecodeError):
        return None
