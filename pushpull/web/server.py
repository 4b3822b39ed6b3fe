"""One service process: store, node and HTTP server, from start to a drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from pushpull.delivery.session import HELLO_BYTES_AUTHENTICATED
from pushpull.errors import ConfigError, StoreUnavailable
from pushpull.node.node import Node
from pushpull.settings import BACKLOG, Settings
from pushpull.store.store import Store
from pushpull.web.app import WEBSOCKET_PATH, create_app
from pushpull.web.arrivals import Arrivals, HttpProtocol
from pushpull.web.auth import Authenticator
from pushpull.web.deflate import Framers
from pushpull.web.direct import DirectProtocol
from pushpull.web.gate import Gate
from pushpull.web.reloading import Reloading, Source
from pushpull.web.tracing import spans_of
from pushpull.web.webhook import webhook_of

log = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 75  # above the 60 s of most load balancers, so that they are the ones who close
SHUTDOWN_S: Final = 5  # for HTTP calls still under way after the drain
WAIT_FOR_REDIS_S: Final = 30.0
GC_YOUNG: Final = 200_000  # allocations more than deallocations before the youngest are looked at; Python's own is 700
GC_MIDDLE: Final = 20
GC_OLD: Final = 100
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """uvicorn with the signals left to us: on SIGTERM it would close every socket at once, before the drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    settings: Settings,
    redis_url: str,
    *,
    origins: Mapping[str, str] | None = None,
    on_ready: Callable[[], None] = lambda: None,
    sockets: Sequence[socket.socket] | None = None,
    stop: asyncio.Event | None = None,
    source: Source | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. A second signal ends the drain at once.

    `origins` says for each setting where it came from; `on_ready` is called once it listens: on `sockets`, which are
    bound, or else where the settings say. Setting `stop` is a signal, too. Settings are read again from `source` when
    its file changes, and on SIGHUP.
    Raises ConfigError where the settings or the address do not allow a start, StoreUnavailable without a Redis.
    """
    _spare_the_collector()
    spans = spans_of(settings.tracing)
    store = await _open_store(settings, redis_url)
    webhook = webhook_of(settings.offline)
    node = Node(settings, store, webhook, spans)
    node.policy.started_with(origins or {})
    authenticator = Authenticator(settings.auth)
    reloading: asyncio.Task[None] | None = None
    try:
        await node.start()
        if source is not None:
            reloading = asyncio.create_task(Reloading(source, node.policy).run(), name="reloading")
        app = create_app(node, authenticator)
        server = Server(http_config(settings, app))
        serving = _serve(server, None if sockets is None else list(sockets))
        await _listen(server, serving, node, on_ready, stop or asyncio.Event())
    finally:
        if reloading is not None:
            reloading.cancel()
            await asyncio.wait([reloading])
        await node.stop()
        await authenticator.aclose()
        if webhook is not None:
            await webhook.aclose()
        await store.aclose()
        if spans is not None:
            await asyncio.to_thread(spans.close)


def _spare_the_collector() -> None:
    """Let the garbage collector look at everything far less often.

    A full collection walks every object of every connection: with 5,000 of them it stopped the loop for 0.6 s, now
    and then, and found next to nothing. Sessions are freed by their reference counts; cycles are few and small.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG, GC_MIDDLE, GC_OLD)


async def _open_store(settings: Settings, redis_url: str) -> Store:
    """Redis may start a moment after us: wait for it a while, and say so."""
    deadline = asyncio.get_running_loop().time() + WAIT_FOR_REDIS_S
    while True:
        try:
            return await Store.open(settings, url=redis_url)
        except StoreUnavailable as problem:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            log.warning("waiting for Redis: %s", problem.message)
            await asyncio.sleep(1.0)


def http_config(settings: Settings, app: Starlette) -> uvicorn.Config:
    """How uvicorn is to serve `app`."""
    return uvicorn.Config(
        app,
        http=_http(app),
        host=settings.server.host,
        port=settings.server.port,
        ws=_direct(app) if settings.server.websocket == "direct" else "websockets-sansio",
        ws_max_size=HELLO_BYTES_AUTHENTICATED + settings.limits.frame_bytes,
        # The path by ASGI has none: it would cost 300 KB a connection. (The direct path: web.deflate.)
        ws_per_message_deflate=False,
        # The session's own pings; two heartbeats would be one too many.
        ws_ping_interval=None,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="off",
        # Nothing here asks for a caller's address or scheme, so nobody's word for them is taken either.
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
    )


def _http(app: Starlette) -> Any:
    """What uvicorn calls for each connection, in place of a protocol class."""
    gate: Gate = app.state.gate
    arrivals = Arrivals(gate.node.settings.limits, sockets=lambda: gate.sockets)
    return partial(HttpProtocol, arrivals)


def _direct(app: Starlette) -> Any:
    """What uvicorn calls for each upgrade, in place of a protocol class."""
    gate: Gate = app.state.gate
    framers = Framers(gate.node.settings.server.deflate_min_bytes)

    def protocol(config: uvicorn.Config, server_state: object, app_state: object) -> DirectProtocol:
        return DirectProtocol(gate, framers, WEBSOCKET_PATH, server_state)

    return protocol


async def _listen(
    server: Server, work: Coroutine[Any, Any, None], node: Node, on_ready: Callable[[], None], stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(work, name="http server")
    try:
        await _until_listening(server, serving)
        on_ready()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, serving], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        stop.clear()
        await _drain(node, stop)
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
    serving.result()


async def _serve(server: Server, sockets: list[socket.socket] | None) -> None:
    try:
        await server.serve(sockets)
    except SystemExit as problem:  # uvicorn's way to say that it could not bind
        raise ConfigError(f"cannot listen on {server.config.host} port {server.config.port}") from problem


async def _until_listening(server: Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            serving.result()
            raise ConfigError("the HTTP server ended before it listened")
        await asyncio.sleep(0.01)


async def _drain(node: Node, again: asyncio.Event) -> None:
    """Drain; a second signal cuts it short."""
    draining = asyncio.create_task(node.drain())
    impatient = asyncio.create_task(again.wait())
    await asyncio.wait([draining, impatient], return_when=asyncio.FIRST_COMPLETED)
    impatient.cancel()
    if not draining.done():
        log.warning("drain cut short by a second signal")
        draining.cancel()
    (outcome,) = await asyncio.gather(draining, return_exceptions=True)
    if isinstance(outcome, Exception):
        log.error("the drain failed", exc_info=outcome)
