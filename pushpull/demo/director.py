"""Runs one demo against a service: makes the conversations, starts the fleet, follows it, sums up, tidies up."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from pushpull.client import AsyncServer
from pushpull.demo.child import hang_up
from pushpull.demo.plan import Plan
from pushpull.demo.readings import Reading, Readings
from pushpull.demo.reports import GO, STOP, Orders, Report
from pushpull.demo.service import OwnService, last_line
from pushpull.demo.summary import Summary, summarize
from pushpull.errors import ConfigError, NoSuchConversation

MEMBERS_A_CALL: Final = 5_000
CALLS_AT_ONCE: Final = 8
READING_S: Final = 1.0
LINE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """The service to show, and how to make a token for a user there."""

    url: str
    api_key: str
    token: Callable[[str], str]
    own: OwnService | None = None


@dataclass(slots=True)
class Progress:
    """What is known now: for the view."""

    plan: Plan
    step: str = "starting"
    report: Report = field(default_factory=lambda: Report(phase="connecting"))
    metrics: dict[str, float] = field(default_factory=dict)


Watch = Callable[[Progress], None]


async def run(target: Target, plan: Plan, *, watch: Watch, stop: asyncio.Event) -> Summary:
    """One demo, start to end. `watch` is called whenever something is new; `stop`, once set, ends the sending early.

    The demo's conversations are deleted at the end, unless the service ends with the demo. Raises ConfigError when the
    devices cannot connect, PushpullError for what the service refuses.
    """
    progress = Progress(plan)
    readings = Readings(target.url, target.own)
    try:
        async with (
            AsyncServer(target.url, target.api_key) as server,
            _conversations(server, plan, progress, watch, keep=target.own is not None),
        ):
            return await _with_fleet(target, plan, progress, watch, readings, stop)
    finally:
        await readings.close()


async def _with_fleet(
    target: Target, plan: Plan, progress: Progress, watch: Watch, readings: Readings, stop: asyncio.Event
) -> Summary:
    tokens = [target.token(plan.uid(number)) for number in range(plan.connected)]
    async with _fleet(Orders(url=target.url, plan=plan, tokens=tokens)) as fleet:
        looking = asyncio.create_task(_look(readings, progress))
        stopping = asyncio.create_task(_say_when(stop, STOP, fleet))
        before = Reading()
        try:
            async for report in _reports(fleet):
                if report.phase == "ready" and progress.report.phase != "ready":
                    before = await readings.everything()
                    fleet.say(GO)
                progress.report, progress.step = report, report.phase
                watch(progress)
                if report.verdict is not None:
                    after = await readings.everything()
                    return summarize(plan, report.counts, report.verdict, before, after)
        finally:
            for chore in (looking, stopping):
                chore.cancel()
        raise ConfigError(f"the demo's devices ended: {await fleet.last_words()}")


# ---------------------------------------------------------------------------------------------------- conversations


@asynccontextmanager
async def _conversations(
    server: AsyncServer, plan: Plan, progress: Progress, watch: Watch, *, keep: bool
) -> AsyncIterator[None]:
    """The conversations of the plan, for as long as the block lasts."""
    everyone = {cid: [plan.uid(user) for user in users] for cid, users in plan.conversations().items()}
    made: list[str] = []
    turns = asyncio.Semaphore(CALLS_AT_ONCE)

    async def make(cid: str, members: list[str]) -> None:
        async with turns:
            await server.put_conversation(cid, members=members[:MEMBERS_A_CALL])
            made.append(cid)
            for first in range(MEMBERS_A_CALL, len(members), MEMBERS_A_CALL):
                await server.add_members(cid, members[first : first + MEMBERS_A_CALL])
            progress.step = f"making conversations, {len(made)} of {len(everyone)}"
            watch(progress)

    async def delete(cid: str) -> None:
        async with turns:
            with contextlib.suppress(NoSuchConversation):
                await server.delete_conversation(cid)

    try:
        await asyncio.gather(*(make(cid, members) for cid, members in everyone.items()))
        yield
    finally:
        if not keep:
            await asyncio.gather(*(delete(cid) for cid in made))


# ---------------------------------------------------------------------------------------------------- the fleet


class _Fleet:
    """The fleet's process."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.lines = process.stdout
        self._process = process
        self._stdin = process.stdin
        self._log = log

    def say(self, line: bytes) -> None:
        self._stdin.write(line + b"\n")

    async def last_words(self) -> str:
        await self._process.wait()
        return last_line(self._log)

    async def end(self) -> None:
        """Hang up, which it takes as the end; end it when it does not."""
        await hang_up(self._process)


@asynccontextmanager
async def _fleet(orders: Orders) -> AsyncIterator[_Fleet]:
    with tempfile.TemporaryDirectory(prefix="pushpull-demo-") as place:
        log = Path(place) / "fleet.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pushpull.demo.fleet"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                limit=LINE_BYTES,
            )
        fleet = _Fleet(process, log)
        try:
            fleet.say(msgspec.json.encode(orders))
            yield fleet
        finally:
            await fleet.end()


async def _reports(fleet: _Fleet) -> AsyncIterator[Report]:
    while line := await fleet.lines.readline():
        yield msgspec.json.decode(line, type=Report)


async def _say_when(event: asyncio.Event, word: bytes, fleet: _Fleet) -> None:
    await event.wait()
    fleet.say(word)


async def _look(readings: Readings, progress: Progress) -> None:
    while True:
        progress.metrics = await readings.metrics() or progress.metrics
        await asyncio.sleep(READING_S)
