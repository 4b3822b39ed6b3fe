"""What the process that watches the workers does about one that hangs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pushpull.commands import _workers
from pushpull.commands._given import Given
from tests.e2e.service import settings_of
from tests.servers import free_port


def children() -> list[int]:
    own = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def test_a_worker_that_hangs_is_killed_and_another_serves_in_its_place(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_workers, "SPAN_S", 0.5)
    caplog.set_level("INFO", _workers.__name__)
    before = set(children())
    ready = asyncio.Event()
    settings = settings_of(server={"workers": 2, "port": free_port(), "drain_s": 0})
    serving = asyncio.create_task(
        _workers.supervise(settings, redis_url, origins={}, on_ready=ready.set, given=Given(None, {}))
    )
    try:
        async with asyncio.timeout(40):
            await ready.wait()
            hung, other = sorted(set(children()) - before)
            with stopped(hung):
                while caplog.text.count("serves as pid") < 3:
                    await asyncio.sleep(0.05)
            workers = set(children()) - before
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    assert re.search("worker [01] hangs: it has said nothing for 2 s and is killed", caplog.text)
    assert re.search("worker [01] ended with -9; starting it again", caplog.text)
    assert hung not in workers
    assert other in workers
    assert len(workers) == 2
    assert set(children()) == before
