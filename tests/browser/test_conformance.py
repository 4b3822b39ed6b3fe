"""The JavaScript client's core, in Chromium, against the cases that every client is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests import conformance
from tests.browser.conftest import Serve, open_blank

PLAYER = (Path(__file__).parent / "conformance.js").read_text()
FLOWS = conformance.flows()
RECONNECTING = conformance.read("reconnecting")


@pytest_asyncio.fixture(loop_scope="session")
async def played(browser: Browser, serve: Serve) -> dict[str, Any]:
    """All of them, played in one page: a page for each would take a minute."""
    context = await browser.new_context()
    page = await open_blank(context, await serve())
    cases = [case for _, case in FLOWS]
    answer: dict[str, Any] = await page.evaluate(
        PLAYER, {"welcome": conformance.WELCOME, "cases": cases, "reconnecting": RECONNECTING}
    )
    await context.close()
    return answer


async def test_the_client_does_as_every_client_does(played: dict[str, Any]) -> None:
    wrong = {
        name: found
        for (name, case), trace in zip(FLOWS, played["traces"], strict=True)
        if (found := conformance.differences(case, trace))
    }

    assert wrong == {}


@pytest.mark.parametrize("what", ["closes", "waits", "drains", "nodes"])
async def test_it_comes_back_as_every_client_does(played: dict[str, Any], what: str) -> None:
    expected = {
        "closes": [case["then"] for case in RECONNECTING["closes"]],
        "waits": [[step["wait"] for step in case["steps"]] for case in RECONNECTING["waits"]],
        "drains": [case["wait"] for case in RECONNECTING["drains"]],
        "nodes": [case["failures"] for case in RECONNECTING["nodes"]],
    }

    assert played[what] == expected[what]
