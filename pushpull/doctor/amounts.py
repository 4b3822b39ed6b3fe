"""Figures for people."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


def size(count: float) -> str:
    """Bytes: `512 B`, `1.5 MiB`, `12 GiB`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}" if count < 1000 * unit else f"{count / unit:,.0f} {name}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """A stretch of time: `12 s`, `3 h`, `30 days`, `years`."""
    if seconds > 1e9:
        return "years"
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.3g} s"


def counted(count: int, what: str) -> str:
    """`1 node`, `2,000 nodes`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def number(count: float) -> str:
    """How many: `1,200`, `25.9 million`."""
    return f"{count / 1e6:,.1f} million" if count >= 1e6 else f"{count:,.0f}"
