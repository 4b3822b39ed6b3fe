"""SpanSink over OpenTelemetry: OTLP over HTTP, sent by a thread of the exporter's own. Needs the extra `tracing`.

What is not said in [tracing] OpenTelemetry reads from its own environment variables: OTEL_EXPORTER_OTLP_HEADERS
(credentials), OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_RESOURCE_ATTRIBUTES and more.

Bounded: QUEUED spans wait for the exporter; what comes on top is dropped, and OpenTelemetry says so in the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from pushpull import __version__
from pushpull.delivery.trace_ids import root_id
from pushpull.node.spans import Span
from pushpull.web.traceparent import TRACEPARENT

QUEUED: Final = 4096
EXPORT_S: Final = 2.0  # one batch, tries included
CLOSE_S: Final = 2.0
"""What waits is sent for so long at the end; then a collector that hangs has the rest of one batch's time."""


class Ids(IdGenerator):
    """Those of the span that is made next. One thread makes them."""

    def __init__(self) -> None:
        self.trace = 0
        self.span = 0  # 0: any
        self._any = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span or self._any.generate_span_id()


class Exported:
    """Makes OpenTelemetry's spans of the node's (node.spans.SpanSink)."""

    def __init__(self, processor: SpanProcessor, *, give_up: Callable[[], None] = lambda: None) -> None:
        """`give_up` ends what `processor` has under way."""
        self._give_up = give_up
        self._ids = Ids()
        # What is kept was decided before, on all nodes alike.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": "pushpull", "service.version": __version__}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("pushpull", __version__)

    def put(self, span: Span) -> None:
        self._ids.trace, self._ids.span = span.trace, span.span
        made = self._tracer.start_span(
            span.name,
            _context(span),
            attributes=span.attributes,
            links=_links(span),
            start_time=span.begun_ns,
        )
        made.end(span.ended_ns)

    def close(self) -> None:
        patience = threading.Timer(CLOSE_S, self._give_up)
        patience.daemon = True
        patience.start()
        self._provider.shutdown()
        patience.cancel()


def exported_to(endpoint: str) -> Exported:
    """`endpoint`: the whole URL, as http://collector:4318/v1/traces. Nothing is sent yet."""
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_S)
    return Exported(BatchSpanProcessor(exporter, max_queue_size=QUEUED), give_up=exporter.shutdown)


def _context(span: Span) -> Context:
    """Where the span belongs: in its caller's trace, in the message's, or at the beginning of that."""
    caller = TRACEPARENT.match(span.caller)
    if caller is not None:
        return _within(int(caller[1], 16), int(caller[2], 16))
    return _within(span.trace, span.parent) if span.parent else Context()


def _links(span: Span) -> list[Link]:
    """From a caller's trace to the message's."""
    return [Link(_remote(span.trace, root_id(span.trace)))] if span.caller else []


def _within(trace: int, parent: int) -> Context:
    return set_span_in_context(NonRecordingSpan(_remote(trace, parent)), Context())


def _remote(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
