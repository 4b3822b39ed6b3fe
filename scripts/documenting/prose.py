"""Text that was written for a terminal or a settings file, as Markdown that looks the same."""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile(r"([\\*_>\[\]|#])")


def escaped(text: str) -> str:
    """`text` with everything but its `code` taken literally."""
    parts = text.split("`")
    # A backslash before < would be shown; an entity is one to every reader of Markdown.
    literal = (
        _SPECIAL.sub(r"\\\1", part).replace("<", "&lt;") if at % 2 == 0 else part for at, part in enumerate(parts)
    )
    return "`".join(literal)


def cell(text: str) -> str:
    """Markdown as it may stand in a table: on one line, with no bar that would end the cell. In `code` none does."""
    parts = " ".join(text.split()).split("`")
    return "`".join(re.sub(r"(?<!\\)\|", r"\\|", part) if at % 2 == 0 else part for at, part in enumerate(parts))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table, or nothing at all where there are no rows. Cells are Markdown."""
    if not rows:
        return ""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"
