"""The parts of the demo chat that know no page: what is held of a log, what is checked, what is counted."""

from __future__ import annotations

from typing import Any

import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from tests.browser.conftest import open_blank
from tests.e2e.service import LocalService

PARTS = """
  const { Timeline, MAX } = await import("/demo/timeline.js");
  const { Ledger } = await import("/demo/ledger.js");
  const { Meter } = await import("/demo/meter.js");
  const timeline = new Timeline();
  const messages = (from, upto) => Array.from({ length: upto - from + 1 }, (_, place) => ({ seq: from + place }));
  const live = (from, upto) => messages(from, upto).forEach((message) => timeline.live(message));
  const begin = (from, upto) => timeline.begin(messages(from, upto), { more: from > 1, floor: 1 });
  const older = (from, upto) => timeline.older(messages(from, upto), { more: from > 1, floor: 1 });
  const newer = (from, upto) => timeline.newer(messages(from, upto));
  const held = () => {
    const seqs = timeline.items.map(({ seq }) => seq);
    if (!seqs.every((seq, place) => seq === seqs[0] + place)) throw new Error(`holes in ${seqs}`);
    return [timeline.first, timeline.last, timeline.atEnd, timeline.more];
  };
  const ledgerOf = (seqs) => {
    const ledger = new Ledger();
    for (const seq of seqs) ledger.take({ cid: "tea", seq });
    return ledger;
  };
"""


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, service: LocalService) -> Page:
    return await open_blank(context, service)


async def run(page: Page, script: str) -> Any:
    """What a script over the parts returns."""
    return await page.evaluate(f"async () => {{ {PARTS} {script} }}")


async def test_what_comes_before_the_first_page_joins_it(page: Page) -> None:
    assert await run(page, "live(3, 12); begin(1, 10); return held()") == [1, 12, True, False]


async def test_what_is_on_a_page_already_is_not_held_twice(page: Page) -> None:
    assert await run(page, "begin(5, 10); live(8, 12); older(1, 6); return held()") == [1, 12, True, False]


async def test_a_full_timeline_lets_go_of_the_oldest_while_its_reader_is_at_the_end(page: Page) -> None:
    assert await run(page, "begin(1, 10); live(11, MAX + 5); return [...held(), MAX]") == [6, 1505, True, True, 1500]


async def test_a_full_timeline_does_not_grow_while_its_reader_is_elsewhere(page: Page) -> None:
    script = "begin(1, MAX); timeline.following = false; live(MAX + 1, MAX + 7); return [...held(), timeline.beyond]"
    assert await run(page, script) == [1, 1500, False, False, 7]


async def test_scrolling_back_lets_go_of_the_newest_and_scrolling_on_fetches_them_again(page: Page) -> None:
    script = """
      begin(101, 1600); timeline.following = false; older(41, 100);
      const back = held(); newer(1541, 1600); return [back, held()]"""
    assert await run(page, script) == [[41, 1540, False, True], [101, 1600, True, True]]


async def test_an_older_page_that_comes_late_takes_nothing_from_who_is_at_the_end_again(page: Page) -> None:
    script = "begin(101, 1600); timeline.following = true; older(41, 100); live(1601, 1602); return held()"
    assert await run(page, script) == [103, 1602, True, True]


async def test_a_new_log_begins_anew(page: Page) -> None:
    assert await run(page, "begin(1, 9); timeline.reset(); live(3, 4); begin(1, 3); return held()") == [
        1,
        4,
        True,
        False,
    ]


async def test_the_ledger_finds_what_is_missing_and_what_comes_twice(page: Page) -> None:
    script = """
      const found = ({ checked, missing, doubled, clean }) => [checked, missing, doubled, clean];
      return [[5, 6, 7], [5, 8], [5, 6, 6], [5, 6, 5]].map((seqs) => found(ledgerOf(seqs)))"""
    assert await run(page, script) == [[3, 0, 0, True], [2, 2, 0, False], [3, 0, 1, False], [3, 0, 1, False]]


async def test_the_ledger_goes_on_where_a_reset_says(page: Page) -> None:
    script = """
      const ledger = ledgerOf([5, 6]);
      ledger.reset({ cid: "tea", pos: "90-1" });
      ledger.take({ cid: "tea", seq: 91 });
      return ledger.clean"""
    assert await run(page, script) is True


async def test_the_meter_tells_pushes_from_pages_and_redeliveries(page: Page) -> None:
    script = """
      const meter = new Meter();
      const came = (fields) => meter.frame("in", { type: "messages", cid: "tea", upto: 9, head: 9, ...fields }, 0);
      meter.frame("out", { type: "pull", cid: "tea", after: 5, limit: 9 }, 0);
      meter.frame("out", { type: "pull", cid: "tea", before: 5, limit: 9 }, 0);
      meter.frame("out", { type: "focus", cid: null }, 0);
      came({ after: 3 }); came({ after: 5 }); came({ after: 5 }); came({ after: 3, redelivery: 1 });
      const { push, page, pull, redelivery, framesIn, framesOut } = meter.counts;
      return { push, page, pull, redelivery, framesIn, framesOut }"""
    assert await run(page, script) == {
        "push": 2,
        "page": 1,
        "pull": 1,
        "redelivery": 1,
        "framesIn": 4,
        "framesOut": 3,
    }
