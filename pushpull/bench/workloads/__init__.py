"""The workloads: what each does to the service, and what is measured. One module each, all of one shape:

NAME, ABOUT                        as shown
async def run(stage) -> Outcome    one run, on a service of its own
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from pushpull.bench.figures import Outcome
from pushpull.bench.stage import Stage
from pushpull.bench.workloads import (
    amplification,
    batch,
    compression,
    fan_out,
    hot_group,
    memory,
    mixed_viewers,
    offline,
    pull,
    send,
    slow,
    small_groups,
    storm,
)


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    about: str
    run: Callable[[Stage], Awaitable[Outcome]]


def _of(module: ModuleType) -> Workload:
    return Workload(module.NAME, module.ABOUT, module.run)


WORKLOADS: Final = {
    workload.name: workload
    for workload in map(
        _of,
        (
            *(fan_out, hot_group, mixed_viewers, slow, compression, small_groups, send, batch, storm, pull, memory),
            *(amplification, offline),
        ),
    )
}
