"""Files of the repository that the site's pages link to, outside of docs/: they come along, under source/.

A page is written for a reader of the repository, and its links are true there. On the site docs/ is the root, so what
lies beside it gets a place of its own, and the links to it follow.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
DOCS: Final = "docs/"
PLACE: Final = "source/"

_LINK: Final = re.compile(r"(?<=\]\()(?![a-z][a-z+.-]*:|#)([^)#\s]+)(?=[)#\s])")


def in_site(path: str) -> str:
    """Where a file of the repository is on the site. Both from their roots."""
    return path.removeprefix(DOCS) if path.startswith(DOCS) else PLACE + path


def in_repository(path: str) -> str:
    """Where a file of the site is in the repository."""
    return path.removeprefix(PLACE) if path.startswith(PLACE) else DOCS + path


def linked(path: str) -> Iterator[str]:
    """The files outside of docs/ that the page at `path`, and what it links to, lead to. From the repository's root."""
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        page = waiting.pop()
        for target in _targets(page, (ROOT / page).read_text()):
            if target.startswith(DOCS) or target in seen:
                continue
            seen.add(target)
            yield target
            if target.endswith(".md"):
                waiting.append(target)


def _targets(page: str, text: str) -> Iterator[str]:
    """The files that the page's links name. What names none is left for the builder to complain about."""
    folder = posixpath.dirname(page)
    for found in _LINK.finditer(text):
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        if not target.startswith("..") and (ROOT / target).is_file():
            yield target


def relinked(text: str, page: str) -> str:
    """`text` of the site's page with links that are true on the site."""
    here = in_repository(page)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link[1]))
        if target.startswith("..") or not (ROOT / target).is_file():
            return link[1]
        return posixpath.relpath(in_site(target), posixpath.dirname(page) or ".")

    replace: Callable[[re.Match[str]], str] = moved
    return _LINK.sub(replace, text)
