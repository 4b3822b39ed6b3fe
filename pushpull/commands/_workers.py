"""Several processes that serve on one port, and the one that watches them.

Theory of operation. The supervisor holds the port, starts the workers, each a node of its own, and says that it serves
once all of them do; one that cannot start ends all. After that, a worker that dies is started again, later and later
if it keeps dying; one that hangs, and so says BEAT no more, is killed, as the port would go on giving it its share of
the connections. SIGHUP goes to every worker: each reads its settings again, and watches their file, by itself. SIGTERM
and SIGINT go to every worker as SIGTERM, a second one too, which cuts their drain short. A worker has a session of its
own, so that Ctrl-C at a terminal reaches it once, through here; a supervisor that is killed takes its workers along by
the end of their standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from pushpull.commands._given import Given
from pushpull.commands._ports import held
from pushpull.commands._worker import BEAT_S, READY, Orders
from pushpull.errors import ConfigError, PushpullError
from pushpull.settings import Settings

logger = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
BACKOFF_S: Final = (0.5, 10.0)  # first, longest
STEADY_S: Final = 30.0  # a worker that lived so long begins anew with the first
SILENT_SPANS: Final = 4
SPAN_S: Final = 5 * BEAT_S
"""A worker hangs that says nothing for so many spans. Not one long wait: where this process itself was stopped, the
time is over at once when it goes on, although the beats are there to be read."""
GRACE_S: Final = 20.0  # after drain_s, for calls under way, cursors and goodbyes; then it hangs, and is killed


async def supervise(
    settings: Settings, redis_url: str, *, origins: Mapping[str, str], on_ready: Callable[[], None], given: Given
) -> None:
    """Serve with `server.workers` processes until SIGTERM or SIGINT;
    `on_ready` is called once all of them listen.

    Raises ConfigError where one cannot start, PushpullError where one did not end well.
    """
    server = settings.server
    with held(server.host, server.port) as port_holder:
        port = port_holder.getsockname()[1]
        crew = [
            _Worker(
                number,
                Orders(
                    settings=settings,
                    redis_url=redis_url,
                    origins=dict(origins),
                    port=port,
                    own_port=server.worker_port + number if server.worker_port else 0,
                    given=given,
                ),
            )
            for number in range(server.workers)
        ]
        await _Crew(crew, stop_s=server.drain_s + GRACE_S).run(on_ready)


class _Crew:
    def __init__(self, workers: list[_Worker], *, stop_s: float) -> None:
        self._workers = workers
        self._stop_s = stop_s
        self._stopping = asyncio.Event()

    async def run(self, on_ready: Callable[[], None]) -> None:
        with self._signals():
            keeping: list[asyncio.Task[None]] = []
            try:
                if await self._start():
                    on_ready()
                    keeping = [asyncio.create_task(worker.keep()) for worker in self._workers]
                    await self._stopping.wait()
            finally:
                for task in keeping:
                    task.cancel()
                await asyncio.gather(*keeping, return_exceptions=True)
                ends = await asyncio.gather(*(worker.stop(self._stop_s) for worker in self._workers))
        if any(ends):
            raise PushpullError(f"not every worker ended well: {', '.join(map(str, ends))}, expected 0 of each")

    async def _start(self) -> bool:
        """Start all; False when told to stop before they are ready. Raises ConfigError when one does not start."""
        starting = asyncio.create_task(self._start_all())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return False
        await starting
        return not self._stopping.is_set()

    async def _start_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for worker in self._workers:
                    tasks.create_task(worker.start())
        except ExceptionGroup as several:
            raise several.exceptions[0] from None  # they fail for the same reason, and each has said it

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGHUP)}
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            self._pass_on(signal.SIGTERM)
        self._stopping.set()

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.signal(number)


class _Worker:
    """One process, and those that follow it when it dies."""

    def __init__(self, number: int, orders: Orders) -> None:
        self._number = number
        self._orders = msgspec.json.encode(orders) + b"\n"
        self._process: asyncio.subprocess.Process | None = None
        self._served = False  # before that, SIGTERM ends it as it ends any process

    async def start(self) -> None:
        """Start it and wait until it serves. Raises ConfigError when it ends before; it has said why."""
        self._served = False
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "pushpull.commands._worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self._orders)
            await process.stdin.drain()
        if await process.stdout.readline() != READY:
            raise ConfigError(f"worker {self._number} ended with {await process.wait()} before it served")
        self._served = True
        logger.info("worker %s serves as pid %s", self._number, process.pid)

    async def keep(self) -> None:
        """Start it again whenever it dies. Runs until cancelled."""
        first_s, longest_s = BACKOFF_S
        delay_s, started = first_s, time.monotonic()
        while True:
            status = await self._end()
            if time.monotonic() - started > STEADY_S:
                delay_s = first_s
            logger.warning("worker %s ended with %s; starting it again in %.1f s", self._number, status, delay_s)
            await asyncio.sleep(delay_s)
            delay_s, started = min(delay_s * 2, longest_s), time.monotonic()
            try:
                await self.start()
            except (ConfigError, OSError) as problem:
                logger.error("%s", problem)

    async def _end(self) -> int:
        """Wait until it has ended, by itself or because it hung; how it did."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        silent = 0
        while silent < SILENT_SPANS:
            try:
                async with asyncio.timeout(SPAN_S):
                    if not await process.stdout.readline():
                        return await process.wait()
                silent = 0
            except TimeoutError:
                silent += 1
        logger.error("worker %s hangs: it has said nothing for %g s and is killed", self._number, silent * SPAN_S)
        self.signal(signal.SIGKILL)
        return await process.wait()

    async def stop(self, within_s: float) -> int:
        """SIGTERM, and how it ended; SIGKILL when it does not end. 0 where it does not run."""
        process = self._process
        if process is None or process.returncode is not None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within_s):
                status = await process.wait()
                return status if self._served else 0
        except TimeoutError:
            logger.error("worker %s did not end within %g s of SIGTERM and is killed", self._number, within_s)
            self.signal(signal.SIGKILL)
            return await process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
