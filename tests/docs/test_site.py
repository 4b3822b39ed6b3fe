"""The documentation's site: it builds without a warning, its links lead somewhere, it loads nothing from afar."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pushpull.config import flattened
from pushpull.settings import Settings
from pushpull.web.asyncapi import HEARD, SAID
from pushpull.web.routes import ENDPOINTS
from scripts.documenting.commands_page import contexts
from scripts.documenting.outside import in_repository, in_site, linked, relinked

ROOT = Path(__file__).parent.parent.parent
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""What a browser fetches by itself: element -> attribute."""


class Page(HTMLParser):
    """What one built page names: its anchors, the links in it, and what it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.styles: list[str] = []
        self.text = file.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        if "style" in named:
            self.styles.append(named["style"])
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag in LOADED and LOADED[tag] in named and named.get("rel") != "canonical":
            self.loaded.append(named[LOADED[tag]])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `scripts/docs` does it, which fails on any warning."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return site


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in built.rglob("*.html") if file.name != "404.html"}


def test_every_page_of_the_folder_is_built(pages: dict[Path, Page], built: Path) -> None:
    written = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").glob("*.md")}

    assert len(written) > 8
    assert written <= {file.relative_to(built) for file in pages}


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    leading = [(page, link) for page in pages.values() for link in page.links if not urlsplit(link).scheme]

    assert len(leading) > 500
    assert [f"{page.file.name}: {link}" for page, link in leading if not found(page, link, pages)] == []


def found(page: Page, link: str, pages: dict[Path, Page]) -> bool:
    path, anchor = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
    target = (page.file.parent / path).resolve() if path else page.file
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return False
    return not anchor or target not in pages or anchor in pages[target].anchors


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page], built: Path) -> None:
    loaded = [(page, url) for page in pages.values() for url in page.loaded]

    assert len(loaded) > 50
    for page, url in loaded:
        assert not urlsplit(url).scheme, f"{page.file.name}: {url}"
        assert not urlsplit(url).netloc, f"{page.file.name}: {url}"
        assert (page.file.parent / unquote(urlsplit(url).path)).exists(), f"{page.file.name}: {url}"
    for sheet in built.rglob("*.css"):
        assert outward(sheet.read_text()) == [], sheet.name
    assert [style for page in pages.values() for style in page.styles if outward(style)] == []


def outward(css: str) -> list[str]:
    """The addresses that a style sheet would have fetched from another host."""
    return [part for part in css.split("url(")[1:] if part.lstrip("\"' ").startswith(("http:", "https:", "//"))]


def test_every_setting_every_command_and_every_call_has_its_place(pages: dict[Path, Page], built: Path) -> None:
    settings, commands, calls, frames = (
        pages[built / "reference" / f"{name}.html"] for name in ("settings", "commands", "http", "websocket")
    )

    assert set(flattened(Settings())) <= settings.anchors
    titles = {context.command_path.removeprefix("pushpull ").replace(" ", "-") for context in contexts()}
    assert titles <= commands.anchors
    assert {*HEARD, *(f"from-{name}" for name in SAID)} <= frames.anchors
    for endpoint in ENDPOINTS:
        assert f"{endpoint.method} {endpoint.path}" in calls.text
    for context in contexts():
        for option in (option for param in context.command.params for option in param.opts if option.startswith("--")):
            assert option in commands.text, f"{context.command_path} {option}"


def test_what_was_escaped_for_markdown_is_shown_without_it(built: Path) -> None:
    for file in (built / "reference").glob("*.html"):
        assert [mark for mark in (r"\&lt;", r"\&gt;", r"\|", r"\[") if mark in file.read_text()] == [], file.name
    shown = (built / "reference" / "commands.html").read_text()
    assert "[reader|member|moderator]" in shown
    assert "[1&lt;=x&lt;=20]" in shown


# ------------------------------------------------------------------------------------- files from outside of docs/


@pytest.mark.parametrize("path", ["docs/protocol.md", "config/pushpull.toml", "bench/plots/cpu.png"])
def test_a_file_of_the_repository_has_one_place_on_the_site(path: str) -> None:
    assert in_repository(in_site(path)) == path


def test_links_that_leave_the_folder_follow_the_file() -> None:
    text = "[a](../bench/README.md#fast) [b](protocol.md#http) [c](#here) [d](https://x.org/../y) [e](../no-such-file)"

    moved = (
        "[a](source/bench/README.md#fast) [b](protocol.md#http) [c](#here) [d](https://x.org/../y) [e](../no-such-file)"
    )
    assert relinked(text, "threshold.md") == moved


def test_links_of_a_file_from_outside_lead_back_into_the_folder() -> None:
    assert relinked("[a](../docs/threshold.md) ![b](plots/cpu.png)", "source/bench/README.md") == (
        "[a](../../threshold.md) ![b](plots/cpu.png)"
    )


def test_what_a_file_from_outside_links_to_comes_along() -> None:
    assert {"bench/README.md", "bench/plots/cpu.png", "bench/full.json"} <= set(linked("docs/threshold.md"))
