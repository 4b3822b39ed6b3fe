"""What a page shows of an example is what the example says, and it is the example that is run."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT, Block, every_block

PART_OF = "part of "


def taken() -> list[Block]:
    """The blocks that say which example they are part of."""
    return [block for block in every_block("python", "js") if block.said.startswith(f"{PART_OF}examples/")]


@pytest.mark.parametrize("block", taken(), ids=lambda block: block.place)
def test_a_page_shows_what_the_example_says(block: Block) -> None:
    source = (ROOT / block.said.removeprefix(PART_OF)).read_text()
    further_left = re.sub("^    ", "", source, flags=re.MULTILINE)  # methods and scripts of pages are indented there

    for piece in block.text.strip("\n").split("\n\n\n"):  # at a gap of two lines something may be left out
        assert piece in source or piece in further_left, f"{block.place}: {block.said} has no\n{piece}"


def test_the_guides_are_made_of_examples() -> None:
    assert {"docs/fastapi.md", "docs/django.md"} <= {block.page for block in taken()}
