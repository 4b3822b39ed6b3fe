"""Whether messages are traced, and what a caller says of its own trace. Who does it needs an extra: web.otlp."""

from __future__ import annotations

import re
from typing import Final

from pushpull.errors import ConfigError
from pushpull.node.spans import Spans
from pushpull.settings import Tracing

TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")
"""https://www.w3.org/TR/trace-context/#traceparent-header: trace, span, flags."""


def spans_of(settings: Tracing) -> Spans | None:
    """What the settings ask for; None: nothing. Raises ConfigError where the packages are missing."""
    if not settings.endpoint:
        return None
    try:
        from pushpull.web.otlp import exported_to
    except ImportError:
        problem = "tracing.endpoint is set and OpenTelemetry is not installed; expected pip install 'pushpull[tracing]'"
        raise ConfigError(problem) from None
    return Spans(exported_to(settings.endpoint), share=settings.sample, cids=settings.cids)


def is_sampled(traceparent: str) -> bool:
    """Whether this header is one, and its trace is kept by whoever began it."""
    found = TRACEPARENT.match(traceparent)
    return found is not None and bool(int(found[3], 16) & 1) and int(found[1], 16) > 0 and int(found[2], 16) > 0
