"""A process of the benchmark's own, asked by lines of JSON: both ends.

A request is `{"id", "do", "args"}`, its answer `{"id", "result"}` or `{"id", "error"}`. Requests may overlap. The
child ends when its input ends, so a benchmark that dies takes its children along.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from pushpull.bench.failure import BenchFailed
from pushpull.demo.child import hang_up
from pushpull.errors import PushpullError

LINE_BYTES: Final = 256 * 1024 * 1024
"""Ten thousand tokens travel in one line."""

Handlers = Mapping[str, Callable[..., Awaitable[Any]]]


class Request(msgspec.Struct):
    id: int
    do: str
    args: dict[str, Any] = {}


class Answer(msgspec.Struct):
    id: int
    result: Any = None
    error: str | None = None


# ------------------------------------------------------------------------------------------------ who asks


class Child:
    """The process, as the one who started it sees it."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._name = name
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count()
        self._hearing = asyncio.create_task(self._hear())

    async def ask(self, do: str, *, within_s: float = 60.0, **args: Any) -> Any:
        """Its answer. Raises BenchFailed with its error, when it ended, or after `within_s`."""
        request = Request(next(self._ids), do, args)
        answer = self._asked[request.id] = asyncio.get_running_loop().create_future()
        self._stdin.write(msgspec.json.encode(request) + b"\n")
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise BenchFailed(f"{self._name} did not answer {do} within {within_s:g} s") from None
        finally:
            self._asked.pop(request.id, None)

    async def end(self) -> None:
        """Hang up, which it takes as the end; end it when it does not."""
        await hang_up(self._process)
        await self._hearing

    async def _hear(self) -> None:
        while line := await self._stdout.readline():
            answer = msgspec.json.decode(line, type=Answer)
            waiting = self._asked.get(answer.id)
            if waiting is None or waiting.done():
                continue
            if answer.error is not None:
                waiting.set_exception(BenchFailed(f"{self._name}: {answer.error}"))
            else:
                waiting.set_result(answer.result)
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(BenchFailed(f"{self._name} ended before it answered"))


@asynccontextmanager
async def child(module: str) -> AsyncIterator[Child]:
    """`python -m module`, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is for the one who asks
        limit=LINE_BYTES,
    )
    started = Child(process, module.rpartition(".")[2])
    try:
        yield started
    finally:
        await started.end()


# ------------------------------------------------------------------------------------------------ who answers


async def answer_requests(handlers: Handlers) -> None:
    """In the child: answer what comes on standard input, until it ends."""
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer
    )
    running: set[asyncio.Task[None]] = set()  # bounded by what the one asker waits for
    try:
        while line := await lines.readline():
            request = msgspec.json.decode(line, type=Request)
            task = asyncio.create_task(_answer(handlers, request))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
        transport.close()


async def _answer(handlers: Handlers, request: Request) -> None:
    try:
        answer = Answer(request.id, await handlers[request.do](**request.args))
    except PushpullError as problem:
        answer = Answer(request.id, error=problem.message)
    except Exception as problem:
        traceback.print_exc()
        answer = Answer(request.id, error=f"{request.do} failed: {type(problem).__name__}: {problem}"[:300])
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
