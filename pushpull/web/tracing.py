"""Whether messages are traced. What does it needs an extra: web.otlp."""

from __future__ import annotations

from pushpull.errors import ConfigError
from pushpull.node.spans import Spans
from pushpull.settings import Tracing


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
