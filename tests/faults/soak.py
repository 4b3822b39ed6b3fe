"""Faults at random, for as long as one likes: `./scripts/soak --minutes 30 [--seed N] [--json FILE]`.

Goes in rounds. Each has conversations and devices of its own on the same three nodes and Redis, suffers a few faults,
and is judged. After ROUNDS_A_GROUND of them come new nodes, perhaps on a Redis of another kind (grounds.py). Where a
round is found wrong, its history, its logs and what the processes wrote stay on disk, and the nodes and Redis of the
next one are new. The seed decides which faults come, not when exactly.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pushpull.errors import PushpullError
from tests.faults import history
from tests.faults.bad_devices import company, living
from tests.faults.fault import Fault, suffer
from tests.faults.grounds import GROUNDS, Ground
from tests.faults.history import Applied
from tests.faults.load import Load
from tests.faults.mixture import pick
from tests.faults.results import Result, table, write

FAULTS_A_ROUND = 4
ROUNDS_A_GROUND = 4
USERS = 60
CONVERSATIONS = 12
BAD = 8

Watch = Callable[[str, float], None]
"""Is told what is being done, and what share of the time is over."""


@dataclass
class Soak:
    """A run: `seed` of the mixture, and where what was wrong is kept."""

    seed: int
    minutes: float
    watch: Watch
    directory: Path
    results: list[Result] = field(default_factory=list)

    async def run(self) -> None:
        chance = random.Random(self.seed)
        random.seed(self.seed)
        began, rounds = time.monotonic(), 0
        while not self._over(began):
            ground = chance.choice(GROUNDS)(self.directory / f"from-{rounds}", self.seed)
            try:
                await asyncio.to_thread(ground.redis.start)
                async with ground.stage:
                    good, until = True, rounds + ROUNDS_A_GROUND
                    while good and rounds < until and not self._over(began):
                        good = await self._round(ground, chance, rounds, began)
                        rounds += 1
                if not good:
                    (self.directory / f"redis-{rounds - 1}.log").write_text(ground.redis_logs())
            finally:
                await asyncio.to_thread(ground.redis.remove)

    def _over(self, began: float) -> bool:
        return time.monotonic() - began >= self.minutes * 60

    async def _round(self, ground: Ground, chance: random.Random, number: int, began: float) -> bool:
        """Whether nothing was wrong."""
        stage, tag = ground.stage, f"r{number}-"
        bad = company(stage.urls, BAD, tag=tag)
        guests = [device.uid for device in bad]
        load = Load(stage.urls, tag=tag, users=USERS, conversations=CONVERSATIONS, guests=guests)
        names: list[str] = []
        try:
            async with load, living(bad):
                for _ in range(FAULTS_A_ROUND):
                    await asyncio.to_thread(ground.wait_ready)
                    fault = pick(stage, chance, ground.groups)
                    names.append(fault.name)
                    self.watch(fault.name, (time.monotonic() - began) / (self.minutes * 60))
                    self.results.append(await _suffered(fault, load))
                violations = [str(violation) for violation in (await load.settle()).violations]
        except* (AssertionError, TimeoutError, PushpullError) as problems:
            violations = [str(problem) for problem in _each(problems)]
        if violations:
            self.keep(load, number, names, violations)
        return not violations

    def keep(self, load: Load, number: int, names: list[str], violations: list[str]) -> None:
        """Write down all that is known of a round that was wrong."""
        kept = self.directory / f"round-{number}"
        kept.mkdir()
        history.write(kept / "history.jsonl", load.diary.events)
        (kept / "logs.json").write_bytes(msgspec.json.encode(load.last_logs))
        (kept / "violations").write_text("\n".join([*names, "", *violations, ""]))
        self.results.append(Result(fault="; ".join(names), sends=0, answered=0, deliveries=0, violations=violations))


def _each(problems: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for problem in problems.exceptions:
        if isinstance(problem, BaseExceptionGroup):
            yield from _each(problem)
        else:
            yield problem


async def _suffered(fault: Fault, load: Load) -> Result:
    """What a fault was seen to do; the judgement comes at the end of the round."""
    before, first = load.diary.confirmed, len(load.diary.events)
    heal_s = await suffer(fault, load)
    answered = load.diary.confirmed - before
    deliveries = sum(isinstance(event, Applied) for event in load.diary.events[first:])
    return Result(
        fault=fault.name,
        sends=answered,
        answered=answered,
        deliveries=deliveries,
        violations=[],
        heal_s=round(heal_s, 2),
        heal_within_s=fault.heal_within_s,
    )


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True)
@click.option("--seed", type=int, help="Of the mixture; one is made up and printed where none is given.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows there, too.")
def main(minutes: float, seed: int | None, json_file: Path | None) -> None:
    """Break a service of three nodes at random, and judge whether it kept its promises. Exit status 1: it did not."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    click.echo(f"seed {seed}", err=True)
    directory = Path(tempfile.mkdtemp(prefix=f"pushpull-soak-{seed}-"))
    with _progress() as watch:
        soak = Soak(seed, minutes, watch, directory)
        asyncio.run(soak.run())
    click.echo("\n".join(table(soak.results)))
    if json_file is not None:
        write(json_file, soak.results)
    wrong = [violation for result in soak.results for violation in result.violations]
    for violation in wrong[:20]:
        click.echo(f"violation: {violation}", err=True)
    if not wrong:
        shutil.rmtree(directory)
    else:
        click.echo(f"histories, logs and outputs are in {directory}", err=True)
        sys.exit(1)


@contextmanager
def _progress() -> Iterator[Watch]:
    """A bar on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("starting", total=1.0)

        def watch(step: str, share: float) -> None:
            progress.update(bar, description=step, completed=share)

        yield watch


if __name__ == "__main__":
    main()
