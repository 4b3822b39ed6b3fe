"""What a check says: an item with its findings. The codes are a contract: scripts may look for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """In the order of badness. SKIPPED: it could not be looked at here, and the item says why."""

    SKIPPED = "skipped"
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that can be wrong. `mend` may hold {names} that `found` fills in."""

    code: str
    status: Status
    why: str
    mend: str

    def found(self, seen: str, **mend: object) -> Finding:
        """This fault, as it was seen: a value, never a secret."""
        return Finding(self.code, self.status, seen, self.why, self.mend.format(**mend))


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    status: Status
    seen: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at. `seen`: what was found there, good or bad, in a line."""

    name: str
    seen: str
    findings: tuple[Finding, ...] = ()
    skipped: bool = False

    @property
    def status(self) -> Status:
        if self.skipped:
            return Status.SKIPPED
        return worst(finding.status for finding in self.findings)


def worst(statuses: Iterable[Status]) -> Status:
    """ERROR before WARNING before OK; OK for none."""
    found = set(statuses)
    return next((status for status in (Status.ERROR, Status.WARNING) if status in found), Status.OK)


def warning(code: str, *, why: str, mend: str) -> Fault:
    """It will bite one day, or costs already."""
    return Fault(code, Status.WARNING, why, mend)


def error(code: str, *, why: str, mend: str) -> Fault:
    """It does not work, or loses what was promised."""
    return Fault(code, Status.ERROR, why, mend)
