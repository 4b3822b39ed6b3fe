"""What a caller says of its own trace: https://www.w3.org/TR/trace-context/#traceparent-header."""

from __future__ import annotations

import re
from typing import Final

TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")
"""Trace, span, flags."""


def is_sampled(traceparent: str) -> bool:
    """Whether this header is one, and its trace is kept by whoever began it."""
    found = TRACEPARENT.match(traceparent)
    return found is not None and bool(int(found[3], 16) & 1) and int(found[1], 16) > 0 and int(found[2], 16) > 0
