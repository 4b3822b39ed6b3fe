"""The console's files: all that the page names is there, and it is shown where the settings say so."""

from __future__ import annotations

import re

import pytest

from pushpull.web.pages import assets_of
from tests.web.conftest import assert_problem
from tests.web.test_pages import browser_at

ASSETS = assets_of("console")
SCRIPTS = [name for name in ASSETS if name.endswith(".js")]


async def test_the_console_is_a_page_that_may_do_nothing_elsewhere() -> None:
    async with browser_at() as browser:
        answer = await browser.get("/console")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    named = set(re.findall(r'(?:href|src)="console/([^"]+)"', answer.text))
    assert {"console.js", "console.css"} <= named <= ASSETS.keys()


async def test_a_service_that_is_to_have_no_console_has_none() -> None:
    async with browser_at(console=False) as browser:
        for path in ("/console", "/console/", "/console/console.js"):
            assert_problem(await browser.get(path), 404, "not_found")


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_what_is_there_and_make_no_markup(name: str) -> None:
    script = ASSETS[name].body.decode()

    assert {path.removeprefix("./") for path in re.findall(r'from "([^"]+)"', script)} <= set(SCRIPTS)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script)
