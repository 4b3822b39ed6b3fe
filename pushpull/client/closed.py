"""A connection that ended, for the moment or for good."""

from __future__ import annotations

from typing import Final

from pushpull.errors import PushpullError, TokenProblem, Unauthenticated

_PROBLEMS: Final[dict[str, TokenProblem]] = {
    "token_invalid": "token_invalid",
    "token_expired": "token_expired",
    "token_revoked": "token_revoked",
}


class LinkClosed(Exception):
    """One WebSocket is gone. `code` as in the contract; 1006 when nobody said why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class ConnectionEnded(PushpullError):
    """The chat is over and does not connect again; `close_code` says why (0: it was never reached, or closed here)."""

    code = "connection_ended"

    def __init__(self, message: str, *, close_code: int = 0) -> None:
        super().__init__(message)
        self.close_code = close_code


def final_error(closed: LinkClosed) -> PushpullError:
    """The exception for a close after which a client stays away."""
    if closed.code == 4401:
        reason = _PROBLEMS.get(closed.reason, "token_invalid")
        return Unauthenticated(f"the service refused the token: {reason}", reason=reason)
    why = {4403: "not allowed", 4409: "another connection of this user and device took over"}.get(closed.code, "")
    detail = ", ".join(part for part in (why, closed.reason) if part)
    return ConnectionEnded(
        f"the service closed the connection for good: {closed.code} {detail}".rstrip(), close_code=closed.code
    )
