"""A running service for each test: `service` with short intervals, `serve` to choose the settings, both in the test's
loop; `serve_process` for one that can be killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import LocalService, Service, ServiceProcess, serving, settings_of

Serve = Callable[..., Awaitable[LocalService]]
ServeProcess = Callable[..., ServiceProcess]


@pytest.fixture(params=["direct", "asgi"])
async def serve(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Serve]:
    """Start a service with these settings: `await serve(delivery={"ack_wait_ms": 150})`; on both WebSocket paths."""
    async with AsyncExitStack() as stack:

        async def start(*, url: str = redis_url, **sections: dict[str, Any]) -> LocalService:
            server = {"websocket": request.param, **sections.pop("server", {})}
            return await stack.enter_async_context(serving(settings_of(server=server, **sections), url))

        yield start


@pytest.fixture
async def service(serve: Serve) -> LocalService:
    return await serve()


@pytest.fixture
def serve_process(redis_url: str, tmp_path: Path) -> Iterator[ServeProcess]:
    """Start `pushpull serve` as a process: `serve_process(delivery__ack_wait_ms=150)`."""
    started: list[ServiceProcess] = []

    def start(*, url: str = redis_url, **settings: Any) -> ServiceProcess:
        process = ServiceProcess(tmp_path, url, **settings)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def serve_nodes(serve_process: ServeProcess) -> Callable[..., list[ServiceProcess]]:
    """Start so many processes on one Redis: `serve_nodes(3, server__drain_s=1)`."""

    def start(count: int, **settings: Any) -> list[ServiceProcess]:
        return [serve_process(**settings) for _ in range(count)]

    return start


@pytest.fixture
async def talk() -> AsyncIterator[Callable[[ServiceProcess], Service]]:
    """Talk to a service process as to any other."""
    async with AsyncExitStack() as stack:

        def start(process: ServiceProcess) -> Service:
            service = Service(process.url)
            stack.push_async_callback(service.close)
            return service

        yield start
