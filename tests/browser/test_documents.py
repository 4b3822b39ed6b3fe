"""JavaScript that the README and docs/ show: a browser takes it for a program."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page

from tests.docs.blocks import Block, every_block

PARSED = """async (source) => {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try { await import(address); } catch (problem) { return problem.name === "SyntaxError" ? problem.message : ""; }
    return "";
}"""
"""What is wrong with a module, empty where it is one. It is not to run: it imports what is not there, and ends so."""

UNRUN = 'import "nowhere";\n'


def programs(block: Block) -> list[str]:
    """The modules in a block: all of it, or what stands in the scripts of a page."""
    return [block.text] if block.language == "js" else re.findall(r"<script[^>]*>(.*?)</script>", block.text, re.DOTALL)


BLOCKS = [block for block in every_block("js", "html") if not block.from_a_file and programs(block)]


async def wrong_with(page: Page, program: str) -> str:
    return str(await page.evaluate(PARSED, UNRUN + program))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
async def test_what_is_shown_is_a_module(page: Page, block: Block) -> None:
    for program in programs(block):
        assert await wrong_with(page, program) == "", block.place


async def test_a_slip_in_one_is_found(page: Page) -> None:
    assert await wrong_with(page, "const chat = connect({ getToken: };") != ""
