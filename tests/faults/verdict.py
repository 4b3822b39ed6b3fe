"""What a judgement comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushpull.model import Cid


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    cid: Cid
    who: str  # a device, or sender/cmid
    what: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.cid}, {self.who}: {self.what}"


@dataclass(slots=True)
class Verdict:
    """What was looked at, and what is wrong."""

    sends: int = 0
    confirmed: int = 0
    deliveries: int = 0
    violations: list[Violation] = field(default_factory=list)

    def wrong(self, kind: str, cid: Cid, who: str, what: str) -> None:
        self.violations.append(Violation(kind, cid, who, what))
