"""`pushpull serve` with several workers: one port, each a node, watched and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from pushpull.client import AsyncServer, Chat, connect
from tests.e2e.conftest import ServeProcess
from tests.e2e.service import API_KEY, Service, ServiceProcess, token_of
from tests.servers import free_port

Talk = Callable[[ServiceProcess], Service]

pytestmark = pytest.mark.timeout(120)


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that run."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


async def until(true: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.05)


@pytest.fixture
def serve_workers(serve_process: ServeProcess) -> Callable[..., ServiceProcess]:
    """Start a service with so many workers, and wait until all of them serve."""

    def start(count: int, **settings: object) -> ServiceProcess:
        process = serve_process(server__workers=count, **settings)
        give_up = time.monotonic() + 20
        while "pushpull serves" not in process.output:  # what is ready so far is one of them
            assert time.monotonic() < give_up, process.output
            time.sleep(0.02)
        return process

    return start


async def test_connections_spread_over_the_workers(serve_workers: ServeProcess, talk: Talk) -> None:
    service = talk(serve_workers(3, server__drain_s=0.5))

    nodes = set()
    for number in range(40):  # that none of them comes to one of three workers has a chance of 1 in 10 million
        wire = await service.wire()
        nodes.add((await wire.greet(token=token_of(f"u{number}")))["node"])

    assert len(nodes) == 3
    assert {row["node"] for row in (await service.server.get("/v1/nodes")).json()["nodes"]} == nodes


async def test_a_worker_that_is_killed_is_started_again_and_its_devices_come_back(
    serve_workers: ServeProcess, talk: Talk
) -> None:
    process = serve_workers(3, server__drain_s=0.5)
    service = talk(process)
    users = [f"u{number}" for number in range(12)]
    await service.room("room", *users)
    held: dict[str, list[int]] = {uid: [] for uid in users}

    async def live(uid: str, chat: Chat) -> None:
        async for message in chat.messages():
            held[uid].append(message.body)

    chats = {uid: connect(process.url, token=token_of(uid), device="d") for uid in users}
    async with asyncio.TaskGroup() as tasks:
        listening = []
        for uid, chat in chats.items():
            await chat.__aenter__()
            listening.append(tasks.create_task(live(uid, chat)))
        workers = children(process.pid)
        assert len(workers) == 3

        os.kill(workers[0], signal.SIGKILL)
        killed_at = time.monotonic()
        async with AsyncServer(process.url, API_KEY) as server:
            await server.send_many({"cid": "room", "body": number} for number in range(20))

        await until(lambda: all(len(got) == 20 for got in held.values()), 5)
        assert time.monotonic() - killed_at < 5
        await until(lambda: len([pid for pid in children(process.pid) if not gone(pid)]) == 3, 10)
        for task in listening:
            task.cancel()
        for chat in chats.values():
            await chat.close()
    assert all(got == list(range(20)) for got in held.values())
    assert f"ended with {-signal.SIGKILL}; starting it again in 0.5 s" in process.output


async def test_sigterm_drains_every_worker_and_ends_with_0(serve_workers: ServeProcess, talk: Talk) -> None:
    process = serve_workers(3, server__drain_s=30)
    service = talk(process)
    wires = [await service.device("bob", f"d{number}") for number in range(6)]
    workers = children(process.pid)
    begun = time.monotonic()

    process.signal(signal.SIGTERM)

    # No other node stays, so nobody needs to be spread over 30 s.
    assert [(await wire.closed())[0] for wire in wires] == [1012] * 6
    assert await asyncio.to_thread(process.wait) == 0
    assert time.monotonic() - begun < 10
    assert all(map(gone, workers))
    assert "Traceback" not in process.output


async def test_sigterm_while_workers_start_ends_with_0(serve_process: ServeProcess) -> None:
    process = serve_process(server__workers=4)  # one is ready, the others are about to be

    process.signal(signal.SIGTERM)

    assert await asyncio.to_thread(process.wait) == 0


async def test_workers_do_not_outlive_a_supervisor_that_is_killed(serve_workers: ServeProcess, talk: Talk) -> None:
    process = serve_workers(2, server__drain_s=0.5)
    workers = children(process.pid)

    process.kill()

    await until(lambda: all(map(gone, workers)), 10)


def test_a_port_that_is_taken_ends_the_start(serve_workers: ServeProcess, tmp_path: Path) -> None:
    first = serve_workers(2)
    second = ServiceProcess(tmp_path, "unix:///nowhere", server__workers=2, server__port=first.port)
    ended = subprocess.run(
        [sys.executable, "-c", "from pushpull.cli import main; main()", "serve"],
        env=second.environ,
        cwd=tmp_path,
        capture_output=True,
        timeout=30,
    )

    assert ended.returncode == 1
    assert f"error: cannot listen on 127.0.0.1 port {first.port}" in ended.stderr.decode()


async def test_each_worker_has_a_port_of_its_own_for_its_metrics(serve_workers: ServeProcess) -> None:
    own = free_port(2)
    serve_workers(2, server__worker_port=own)

    for port in (own, own + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"pushpull_sessions" in answer.read()
