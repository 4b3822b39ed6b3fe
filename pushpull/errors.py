"""Everything pushpull raises on purpose.

    PushpullError                code, HTTP status, whether a retry may help
    ├── BadRequest               400 bad_request         not JSON, not a frame
    ├── Unauthenticated          401 unauthenticated     .reason: token_invalid | token_expired | token_revoked
    ├── NotAMember               403 not_a_member
    ├── NotAllowed               403 not_allowed
    ├── NoSuchConversation       404 no_such_conversation
    ├── NoSuchMessage            404 no_such_message
    ├── CmidConflict             409 cmid_conflict       another body is stored under this cmid
    ├── CmidExpired              409 cmid_expired        older than the idempotency window
    ├── TooLarge                 413 too_large
    ├── Invalid                  422 invalid             well-formed, but a value is out of range
    ├── LimitReached             422 limit_reached
    ├── RateLimited              429 rate_limited        temporary
    ├── Unsupported              501 unsupported
    ├── StoreUnavailable         503 store_unavailable   temporary; not stored, or not known: retry with the same cmid
    └── ConfigError              the settings or the machine do not allow a start

Messages are lower case and name the offending value and the expectation:
``cursor 57 is past the head 54``. They never hold a body, a token or a key.
"""

from __future__ import annotations

from typing import ClassVar, Literal

TokenProblem = Literal["token_invalid", "token_expired", "token_revoked"]


class PushpullError(Exception):
    """Base of the tree. `code` is part of the wire contract and never changes."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    temporary: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms


class BadRequest(PushpullError):
    code = "bad_request"
    status = 400


class Unauthenticated(PushpullError):
    code = "unauthenticated"
    status = 401

    def __init__(self, message: str, *, reason: TokenProblem = "token_invalid") -> None:
        super().__init__(message)
        self.reason: TokenProblem = reason


class NotAMember(PushpullError):
    code = "not_a_member"
    status = 403


class NotAllowed(PushpullError):
    code = "not_allowed"
    status = 403


class NoSuchConversation(PushpullError):
    code = "no_such_conversation"
    status = 404


class NoSuchMessage(PushpullError):
    code = "no_such_message"
    status = 404


class CmidConflict(PushpullError):
    code = "cmid_conflict"
    status = 409


class CmidExpired(PushpullError):
    code = "cmid_expired"
    status = 409


class TooLarge(PushpullError):
    code = "too_large"
    status = 413


class Invalid(PushpullError):
    code = "invalid"
    status = 422


class LimitReached(PushpullError):
    code = "limit_reached"
    status = 422


class RateLimited(PushpullError):
    code = "rate_limited"
    status = 429
    temporary = True


class Unsupported(PushpullError):
    code = "unsupported"
    status = 501


class StoreUnavailable(PushpullError):
    code = "store_unavailable"
    status = 503
    temporary = True


class ConfigError(PushpullError):
    code = "config"


def _tree(root: type[PushpullError]) -> dict[str, type[PushpullError]]:
    return {cls.code: cls for cls in root.__subclasses__()}


BY_CODE: dict[str, type[PushpullError]] = _tree(PushpullError)
"""code -> class."""


def error_of(code: str, message: str, *, retry_after_ms: float | None = None) -> PushpullError:
    """The error for a code off the wire; PushpullError itself for a code of a later release."""
    if code == Unauthenticated.code:
        return Unauthenticated(message or code)
    wait_ms = None if retry_after_ms is None else int(retry_after_ms)
    return BY_CODE.get(code, PushpullError)(message or code, retry_after_ms=wait_ms)


def no_such_conversation(cid: str) -> NoSuchConversation:
    return NoSuchConversation(f"conversation {cid} does not exist")


def not_a_member(uid: str | None, cid: str) -> NotAMember:
    return NotAMember(f"user {uid} is not a member of {cid}")


def lowered(problem: object) -> str:
    """What another library says, as our messages begin: in lower case, except for an abbreviation such as JSON."""
    text = str(problem)
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
