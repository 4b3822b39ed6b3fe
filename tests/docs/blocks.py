"""The code blocks of the README and of docs/, and what a comment above one says about running it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).parent.parent.parent
PAGES: Final = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))

Marking = Literal["not run", "stops after", "runs on after", "exit status"]

_FENCE: Final = re.compile(r"^( *)```+([\w.-]*)[^\n]*\n(.*?)^\1```+ *$", re.DOTALL | re.MULTILINE)
_MARK: Final = re.compile(r"<!-- (not run|stops after|runs on after|exit status): ((?:(?!-->).)+?) -->\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One block. `marking` and `said` are those of the comment right above it, `answer` is the JSON right below it."""

    page: str
    line: int
    language: str
    text: str
    marking: Marking | None = None
    said: str = ""
    answer: str | None = None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def from_a_file(self) -> bool:
        """Taken from a file when the site is built, so that what holds the file holds the block."""
        return "--8<--" in self.text


def blocks_of(page: str) -> Iterator[Block]:
    """The page's blocks, in order."""
    text = (ROOT / page).read_text()
    found = list(_FENCE.finditer(text))
    for at, fence in enumerate(found):
        mark = _MARK.search(text, 0, fence.start())
        marking: Marking | None = None if mark is None else mark[1]  # type: ignore[assignment]
        following = found[at + 1] if at + 1 < len(found) else None
        answers = (
            following is not None
            and following[2] == "json"
            and text[fence.end() : following.start()].strip() == ""
            and _MARK.search(text, 0, following.start()) is None
        )
        yield Block(
            page,
            text.count("\n", 0, fence.start()) + 1,
            fence[2],
            textwrap.dedent(fence[3]),
            marking,
            "" if mark is None else " ".join(mark[2].split()),
            following[3] if answers and following is not None else None,
        )


def every_block(*languages: str) -> list[Block]:
    """All of them in these languages, on every page."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def console_parts(text: str) -> Iterator[tuple[str, str]]:
    """(command, what it prints) for each command of a `console` block; lines that begin with `> ` go on with one."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        goes_on = 1
        while goes_on < len(lines) and lines[goes_on].startswith("> "):
            goes_on += 1
        command = "\n".join([lines[0], *(line.removeprefix("> ") for line in lines[1:goes_on])])
        yield command, "\n".join(lines[goes_on:]).strip()
