"""How the modules of the JavaScript client stand on each other; import-linter does the same for Python's."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

from pushpull.web.pages import assets_of

COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
IMPORT = re.compile(r'^(?:import|export)\s[^"]*?from "\./([\w.]+)";', re.MULTILINE)
WORLD = re.compile(
    r"\b(Date|setTimeout|setInterval|performance|fetch|WebSocket|document|window|navigator|indexedDB|localStorage)\b"
)


def code_of(module: str) -> str:
    return COMMENT.sub("", assets_of("sdk")[module].body.decode())


IMPORTS = {name: set(IMPORT.findall(code_of(name))) for name in assets_of("sdk") if name.endswith(".js")}


def below(module: str) -> set[str]:
    """A module and all it stands on."""
    found, unseen = set[str](), {module}
    while unseen:
        found |= unseen
        unseen = set().union(*(IMPORTS[name] for name in unseen)) - found
    return found


def test_imports_go_one_way() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError


def test_all_of_it_belongs_to_the_client() -> None:
    assert below("pushpull.js") == IMPORTS.keys()


def test_the_core_and_what_it_stands_on_know_no_clock_no_line_and_no_page() -> None:
    pure = below("core.js")

    assert {"core.js", "listing.js", "lane.js", "rule.js"} <= pure
    assert {name: found for name in pure if (found := WORLD.findall(code_of(name)))} == {}
