"""Runs workloads one after the other, each several times, and tells how it goes."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from pushpull import __version__
from pushpull.bench.figures import Figure, Outcome, medians
from pushpull.bench.fleet import load_processes
from pushpull.bench.scale import Scale
from pushpull.bench.service import kept_settings
from pushpull.bench.stage import Stage
from pushpull.bench.workloads import WORKLOADS, Workload
from pushpull.redis_server import find_binary, version_of

GIB: Final = 1024**3


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured, and with what."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    redis: str
    pushpull: str
    at: str
    settings: dict[str, str]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One workload: the medians, and every run."""

    workload: str
    about: str
    seconds: float
    figures: list[Figure]
    wrong: list[str]
    notes: list[str]
    runs: list[Outcome]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    scale: Scale
    load_processes: int
    seconds: float
    results: list[Measured]

    @property
    def wrong(self) -> list[str]:
        """What does not add up, anywhere."""
        return [f"{result.workload}: {what}" for result in self.results for what in result.wrong]


Watch = Callable[[str, int, int], None]
"""Is told what is being done, and how many of how many runs are over."""


async def run(scale: Scale, names: Sequence[str], *, runs: int, watch: Watch = lambda step, done, of: None) -> Report:
    """Run the workloads of these names. Raises PushpullError when one cannot run."""
    began = time.monotonic()
    of, results = runs * len(names), list[Measured]()
    for number, name in enumerate(names):
        results.append(await _repeat(WORKLOADS[name], scale, runs=runs, done=number * runs, of=of, watch=watch))
    return Report(
        machine=machine(),
        scale=scale,
        load_processes=load_processes(),
        seconds=round(time.monotonic() - began, 1),
        results=results,
    )


async def _repeat(workload: Workload, scale: Scale, *, runs: int, done: int, of: int, watch: Watch) -> Measured:
    began = time.monotonic()
    outcomes: list[Outcome] = []
    for number in range(runs):

        def tell(step: str, finished: int = done + number) -> None:
            watch(f"{workload.name}: {step}", finished, of)

        stage = Stage(scale=scale, processes=load_processes(), cores=os.cpu_count() or 1, tell=tell)
        outcomes.append(await workload.run(stage))
        watch(workload.name, done + number + 1, of)
    return Measured(
        workload=workload.name,
        about=workload.about,
        seconds=round(time.monotonic() - began, 1),
        figures=medians(outcomes),
        wrong=list(dict.fromkeys(what for outcome in outcomes for what in outcome.wrong)),
        notes=list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes)),
        runs=outcomes,
    )


def machine() -> Machine:
    """The machine at hand."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    binary = find_binary()
    version = version_of(binary)
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages * page_bytes / GIB, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        redis=f"{Path(binary).name} {'.'.join(map(str, version)) if version else ''}".strip(),
        pushpull=__version__,
        at=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        settings=kept_settings(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
