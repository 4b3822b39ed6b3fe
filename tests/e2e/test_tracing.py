"""One message, two nodes, one trace; and what leaves a process for a collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pushpull.delivery.trace_ids import root_id, trace_id
from pushpull.model import Cid, LogId
from pushpull.node.spans import Spans
from pushpull.web.otlp import Exported
from tests.e2e.service import LocalService, Service, ServiceProcess, serving, settings_of, token_of
from tests.leaks import API_KEY, SECRET, WORDS

TEA = "tea-of-alice-and-bob"
Name = tuple[str, str]
"""A span's name and what it was by or in which way, if that is said."""


class Collector:
    """All spans of one node."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.spans = Spans(Exported(SimpleSpanProcessor(self._kept)), share=1, cids=False)

    def of(self, log_id: str) -> list[ReadableSpan]:
        """Of one message, in order."""
        return [each for each in self._kept.get_finished_spans() if told(each, "message") == log_id]


def told(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(f"pushpull.{name}", "")


def names(spans: list[ReadableSpan]) -> set[Name]:
    return {(span.name.removeprefix("pushpull "), told(span, "by") or told(span, "way")) for span in spans}


@pytest.fixture
def collectors() -> list[Collector]:
    return [Collector(), Collector()]


@pytest.fixture
async def nodes(redis_url: str, collectors: list[Collector]) -> AsyncIterator[list[LocalService]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(serving(settings_of(), redis_url, collector.spans))
            for collector in collectors
        ]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_message_is_one_trace_from_its_send_to_the_devices_of_both_nodes(
    nodes: list[LocalService], collectors: list[Collector]
) -> None:
    await nodes[0].room(TEA, "alice", "bob")
    alice, bob = await nodes[0].device("alice"), await nodes[1].device("bob")
    await alice.say("send", cid=TEA, cmid="one", body=WORDS)
    log_id = (await alice.hear("sent"))["id"]
    await bob.hear("messages")
    await until(lambda: all(("deliver", "pushes") in names(each.of(log_id)) for each in collectors))

    here, there = (each.of(log_id) for each in collectors)
    assert names(here) == {("send", ""), ("append", ""), ("heard", "bell"), ("deliver", "pushes")}
    assert names(there) == {("heard", "bell"), ("deliver", "pushes")}
    trace = trace_id(Cid(TEA), LogId(log_id))
    for span in (*here, *there):
        context = span.get_span_context()
        assert context is not None
        assert context.trace_id == trace
        if span.name == "pushpull send":
            assert (span.parent, context.span_id) == (None, root_id(trace))
        else:
            assert span.parent is not None
            assert span.parent.span_id == root_id(trace)
    (delivered,) = [span for span in there if span.name == "pushpull deliver"]
    assert (told(delivered, "devices"), told(delivered, "handed")) == (1, 1)
    assert {told(span, "node") for span in (*here, *there)} == {node.node.id for node in nodes}
    assert nodes[1].node.metrics.spans.value == 2


async def test_a_notice_is_told_with_how_many_were_rung(nodes: list[LocalService], collectors: list[Collector]) -> None:
    await nodes[0].room("hall", "alice", "bob", mode="notify")
    await nodes[1].device("bob")
    log_id = await nodes[0].post("hall", "large", "x" * 2_000)
    await until(lambda: ("deliver", "notices") in names(collectors[1].of(log_id)))

    there = collectors[1].of(log_id)
    assert names(there) == {("heard", "bell"), ("heard", "read"), ("deliver", "notices")}, "its bell had no body"
    assert [told(span, "devices") for span in there if span.name == "pushpull deliver"] == [1]


async def test_gathered_pushes_are_told_when_their_round_is_over(
    nodes: list[LocalService], collectors: list[Collector]
) -> None:
    await nodes[0].room("hall", "alice", mode="push", push_window_ms=50)
    alice = await nodes[1].device("alice")
    await nodes[0].post("hall", "one")
    log_id = await nodes[0].post("hall", "two")
    await alice.collect("hall", 2)
    await until(lambda: ("deliver", "gathered pushes") in names(collectors[1].of(log_id)))


CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_servers_own_trace_points_to_that_of_its_message(
    nodes: list[LocalService], collectors: list[Collector]
) -> None:
    await nodes[0].room(TEA, "alice")
    path, message = f"/v1/conversations/{TEA}/messages", {"cmid": "one", "body": 1}
    log_id = (await nodes[0].server.post(path, json=message, headers={"traceparent": CALLER})).json()["id"]
    theirs = {**message, "cmid": "two"}
    by_a_user = (await nodes[0].user("alice").post(path, json=theirs, headers={"traceparent": CALLER})).json()["id"]

    trace = trace_id(Cid(TEA), LogId(log_id))
    (called,) = [span for span in collectors[0].of(log_id) if span.links]
    context = called.get_span_context()
    assert context is not None
    assert f"{context.trace_id:032x}" in CALLER
    assert called.parent is not None
    assert f"{called.parent.span_id:016x}" in CALLER
    assert called.links[0].context.trace_id == trace
    assert not any(span.links for span in collectors[0].of(by_a_user)), "a user could ask for any number of spans"


# ------------------------------------------------------------------------------------------------ over the wire


class Received:
    """A receiver of OTLP over HTTP, in a thread."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        received = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> set[str]:
        found = set()
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                assert {"service.name", "service.version"} <= {each.key for each in resource.resource.attributes}
                found |= {span.name for scope in resource.scope_spans for span in scope.spans}
        return found


@pytest.fixture
def received() -> Iterator[Received]:
    received = Received()
    yield received
    received.close()


async def test_spans_leave_the_process_by_otlp_and_hold_neither_bodies_nor_names_nor_tokens(
    received: Received, redis_url: str, tmp_path: Path
) -> None:
    process = ServiceProcess(tmp_path, redis_url, tracing__endpoint=received.url, tracing__sample=1, server__drain_s=0)
    service = Service(process.url)
    try:
        await asyncio.to_thread(process.start)
        await service.room(TEA, "alice-the-first", "bob")
        bob = await service.device("bob", "his-device")
        await service.post(TEA, "her-cmid", sender="alice-the-first")
        await bob.hear("messages")
        await service.close()
        assert await asyncio.to_thread(process.stop) == 0  # which sends what waits
    finally:
        process.kill()

    assert received.spans() == {f"pushpull {name}" for name in ("send", "append", "heard", "deliver")}
    sent = b"".join(received.bodies)
    for word in (TEA, "alice", "bob", "his-device", "her-cmid", WORDS, API_KEY, SECRET, token_of("bob").split(".")[0]):
        assert word.encode() not in sent, word
