"""What Redis and the network say when a call fails, translated into the service's own errors."""

from __future__ import annotations

import logging
import re
from typing import Final

from redis import exceptions as redis_errors

from pushpull.errors import StoreUnavailable

logger = logging.getLogger(__name__)

_REFUSALS: Final = {
    "READONLY": "is read-only",
    "OOM": "is out of memory",
    "MISCONF": "cannot write to its disk",
    "NOREPLICAS": "has too few replicas",
    "CLUSTERDOWN": "is a cluster that is down",
    "MASTERDOWN": "has lost its primary",
    "LOADING": "is loading its data",
    "BUSY": "is busy with a script",
    "TRYAGAIN": "is moving a slot",
    "NOAUTH": "asks for a password",
    "WRONGPASS": "refuses the password",
    "NOPERM": "refuses the command to this user",
}

_PREFIX_OF_CLASS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis_errors.BusyLoadingError, "LOADING"),
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.MasterDownError, "MASTERDOWN"),
    (redis_errors.ClusterDownError, "CLUSTERDOWN"),
    (redis_errors.TryAgainError, "TRYAGAIN"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.AuthenticationError, "WRONGPASS"),
)

_CODE = re.compile(r"-?([A-Z]{2,})\b")

LOST: Final = (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)
"""The connection is gone or silent: whether the call was carried out is not known."""

ELSEWHERE: Final = (
    redis_errors.AskError,  # MovedError, too
    redis_errors.TryAgainError,
    redis_errors.ClusterDownError,
    redis_errors.ReadOnlyError,
)
"""The server has not carried the call out and another may, now or soon: only where there are others."""


class NotConfirmed(Exception):
    """The call was carried out, and what must be confirmed of it was not in time; the text says what."""


def unavailable(error: BaseException, what: str) -> StoreUnavailable:
    """Translate what went wrong during `what` (a script's or command's name). What is unexpected is logged, too.

    What kept a connection from being made (a login that was refused, a server that hangs) is its error's cause.
    """
    if isinstance(error, NotConfirmed):
        return StoreUnavailable(str(error))
    code = _code_of(error)
    if code in _REFUSALS:
        return StoreUnavailable(f"redis {_REFUSALS[code]} ({code})")
    if any(isinstance(each, redis_errors.TimeoutError | TimeoutError) for each in (error, error.__cause__)):
        return StoreUnavailable("redis does not answer in time")
    if isinstance(error, LOST):
        return StoreUnavailable("redis cannot be reached")
    logger.error("redis failed %s: %s %s", what, type(error).__name__, _safe_text(error))
    return StoreUnavailable(f"redis failed {what} ({code or type(error).__name__})")


def reason_of(error: BaseException) -> str:
    """The same in one word, for counting: not_confirmed, timeout, unreachable, readonly, oom, … or other."""
    code = _code_of(error)
    if isinstance(error, NotConfirmed):
        return "not_confirmed"
    if code in _REFUSALS:
        return code.lower()
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(error, LOST) else "other"


def _code_of(error: BaseException) -> str:
    for cls, code in _PREFIX_OF_CLASS:
        if any(isinstance(each, cls) for each in (error, error.__cause__)):
            return code
    match = _CODE.match(str(error)) if isinstance(error, redis_errors.ResponseError) else None
    return match.group(1) if match else ""


def _safe_text(error: BaseException) -> str:
    """The error's text, unless Redis repeats arguments in it: those may hold a body."""
    text = str(error)
    return "(text withheld)" if "args" in text else text[:200]
