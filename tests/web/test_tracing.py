"""What becomes of a node's spans in OpenTelemetry, and what a caller's header means."""

from __future__ import annotations

import socket
import sys
import time

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pushpull.delivery.trace_ids import root_id
from pushpull.errors import ConfigError
from pushpull.node.spans import Span
from pushpull.settings import Tracing
from pushpull.web import otlp
from pushpull.web.otlp import Exported, exported_to
from pushpull.web.traceparent import is_sampled
from pushpull.web.tracing import spans_of

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def exported(span: Span) -> tuple[int, int, int | None, list[tuple[int, int]], int, int]:
    """Trace, span, parent, links, and its times."""
    kept = InMemorySpanExporter()
    Exported(SimpleSpanProcessor(kept)).put(span)
    (made,) = kept.get_finished_spans()
    context = made.get_span_context()
    assert context is not None
    links = [(link.context.trace_id, link.context.span_id) for link in made.links]
    assert made.start_time is not None
    assert made.end_time is not None
    parent = made.parent.span_id if made.parent is not None else None
    return context.trace_id, context.span_id, parent, links, made.start_time, made.end_time


def test_the_first_span_has_the_id_that_others_name_as_their_parent() -> None:
    first, other = root_id(TRACE), Span(name="x", trace=TRACE, parent=root_id(TRACE), begun_ns=5, ended_ns=9)

    root = Span(name="x", trace=TRACE, span=first, begun_ns=3, ended_ns=11)
    assert exported(root) == (TRACE, first, None, [], 3, 11)
    trace, span, parent, links, begun, ended = exported(other)
    assert (trace, parent, links, begun, ended) == (TRACE, first, [], 5, 9)
    assert span not in (0, first)


def test_a_span_in_a_callers_trace_points_to_the_messages() -> None:
    trace, _, parent, links, _, _ = exported(Span(name="x", trace=TRACE, begun_ns=3, ended_ns=4, caller=CALLER))

    assert (f"{trace:032x}", f"{parent:016x}") == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert links == [(TRACE, root_id(TRACE))]


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (CALLER, True),
        (CALLER[:-1] + "3", True),
        (CALLER[:-1] + "0", False),
        ("cc" + CALLER[2:] + "-what-a-later-version-adds", True),
        ("ff" + CALLER[2:], False),
        (CALLER.upper(), False),
        (CALLER + "0", False),
        (CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), False),
        (CALLER.replace("00f067aa0ba902b7", "0" * 16), False),
        ("", False),
    ],
)
def test_a_traceparent_is_one_or_is_none(header: str, sampled: bool) -> None:
    assert is_sampled(header) is sampled


def test_nothing_is_traced_unless_it_is_asked_for() -> None:
    assert spans_of(Tracing()) is None


def test_tracing_without_the_packages_ends_the_start_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pushpull.web.otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)

    with pytest.raises(ConfigError, match=r"pip install 'pushpull\[tracing\]'"):
        spans_of(Tracing(endpoint="http://127.0.0.1:9/v1/traces"))


def test_a_collector_that_hangs_keeps_nobody_waiting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "EXPORT_S", 0.3)
    monkeypatch.setattr(otlp, "CLOSE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        spans = exported_to(f"http://127.0.0.1:{hanging.getsockname()[1]}/v1/traces")
        began = time.monotonic()
        for number in range(2000):
            spans.put(Span(name="x", trace=number + 1, begun_ns=1, ended_ns=2))
        assert time.monotonic() - began < 1.5, "no put waits for the collector"

        spans.close()
        assert time.monotonic() - began < 3
