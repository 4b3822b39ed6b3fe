"""The JavaScript client's core, in Chromium, against the cases that every client is held to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route

from pushpull.web.pages import assets_of
from tests import conformance

PLAYER = (Path(__file__).parent / "conformance.js").read_text()
FLOWS = conformance.flows()
RECONNECTING = conformance.read("reconnecting")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(browser: Browser) -> dict[str, Any]:
    """All of them, played once, in one page; it needs the client's files and no service."""
    context = await browser.new_context()
    await context.route("**/*", _answer)
    page = await context.new_page()
    await page.goto("http://127.0.0.1/sdk/package.json")
    cases = [case for _, case in FLOWS]
    answer: dict[str, Any] = await page.evaluate(
        PLAYER, {"welcome": conformance.WELCOME, "cases": cases, "reconnecting": RECONNECTING}
    )
    await context.close()
    return answer


async def _answer(route: Route) -> None:
    asset = assets_of("sdk")[route.request.url.rpartition("/")[2]]
    await route.fulfill(body=asset.body, content_type=asset.media_type)


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


async def test_the_types_declare_what_there_is(browser: Browser) -> None:
    declared = assets_of("sdk")["pushpull.d.ts"].body.decode()
    chat = declared[declared.index("export class Chat {") :].partition("\n}")[0]
    context = await browser.new_context()
    await context.route("**/*", _answer)
    page = await context.new_page()
    await page.goto("http://127.0.0.1/sdk/package.json")

    there = await page.evaluate(
        """async () => {
          const module = await import("/sdk/pushpull.js");
          const chat = module.connect({ url: "ws://127.0.0.1:1", token: "t", store: "memory" });
          const names = [...Object.getOwnPropertyNames(module.Chat.prototype), ...Object.keys(chat)];
          await chat.close();
          return { exports: Object.keys(module), chat: [...new Set(names)] };
        }"""
    )
    await context.close()

    exports = re.findall(r"^export (?:class|function|const) (\w+)", declared, re.MULTILINE)
    assert set(there["exports"]) == set(exports)
    assert set(there["chat"]) == set(re.findall(r"^  (?:readonly )?(\w+)[<(:]", chat, re.MULTILINE))
