"""Errors as `application/problem+json` (RFC 9457), with the wire contract's codes.

`type` is always about:blank, so `title` is the status in words; what a program acts on is `code`. Beyond the
contract's codes there are three for requests that reach no call: `not_found`, `method_not_allowed`, `internal`.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pushpull.errors import PushpullError, Unauthenticated

MEDIA_TYPE: Final = "application/problem+json"

RETRY_AFTER_MS: Final = 1_000
"""For temporary errors that name no time themselves."""

_CODES_OF_STATUS: Final = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The body of every error answer, and the `error` of a batch item that failed."""

    code: str
    title: str
    status: int
    detail: str
    reason: str | None = None  # of unauthenticated: token_invalid | token_expired | token_revoked
    retry_after_ms: int | None = None  # where a retry helps


def problem_of(error: PushpullError) -> Problem:
    """`error` as it is told to the caller."""
    retry_after_ms = error.retry_after_ms
    if retry_after_ms is None and error.temporary:
        retry_after_ms = RETRY_AFTER_MS
    return Problem(
        code=error.code,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        reason=error.reason if isinstance(error, Unauthenticated) else None,
        retry_after_ms=retry_after_ms,
    )


def problem_response(error: PushpullError) -> Response:
    """The answer to a request that failed with `error`."""
    problem = problem_of(error)
    headers = {}
    if problem.retry_after_ms is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_after_ms / 1000))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return _response(problem, headers)


def internal_problem() -> Response:
    """The answer to what nobody foresaw. It says nothing of the cause: that stands in the log."""
    return _response(Problem(code="internal", title="Internal Server Error", status=500, detail="see the log"), {})


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the router raises: an unknown path, a method that a path does not have."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    title = HTTPStatus(status).phrase
    code = _CODES_OF_STATUS.get(status, "bad_request" if status < 500 else "internal")
    detail = f"{title.lower()}: {request.method} {request.url.path[:200]!a}"
    return _response(Problem(code=code, title=title, status=status, detail=detail), dict(error.headers or {}))


def _response(problem: Problem, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA_TYPE)
