"""Each check is a function of the facts to an item, None where it does not apply; what can be wrong is a Fault here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pushpull.doctor.checks import (
    exposure,
    failover,
    growing,
    machine,
    memory,
    persistence,
    redis,
    response,
    secrets,
    service,
    settings,
)
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Fault, Item

Check = Callable[[Facts], Item | None]

CHECKS: Final[tuple[Check, ...]] = (
    redis.reach,
    redis.keys,
    persistence.persistence,
    memory.memory,
    growing.growing,
    response.latency,
    response.clock,
    response.doorbells,
    failover.failover,
    machine.kernel,
    machine.files,
    machine.disk,
    machine.secret_files,
    secrets.secrets,
    exposure.exposure,
    settings.settings,
    service.services,
)

_MODULES: Final = (
    redis,
    persistence,
    memory,
    growing,
    response,
    failover,
    machine,
    secrets,
    exposure,
    settings,
    service,
)

FAULTS: Final = {
    fault.code: fault for module in _MODULES for fault in vars(module).values() if isinstance(fault, Fault)
}
"""Everything that can be found, by its code."""


def examined(facts: Facts) -> list[Item]:
    """All items, in the order they are shown."""
    return [item for check in CHECKS if (item := check(facts)) is not None]
