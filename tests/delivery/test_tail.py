"""The newest entries of a log, encoded once, and the pages cut from them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushpull.delivery import frames
from pushpull.delivery.tail import Page, Tail, page_of
from tests.delivery.words import edit, entry, log_id, redaction

SIZE = len(frames.item(entry(1)))  # of each item up to seq 9
MANY = 1_000_000


def tail(first: int = 1, last: int = 0, *, max_messages: int = 100, max_bytes: int = MANY) -> Tail:
    """A tail that stood at first - 1 and was given `first … last`."""
    made = Tail(log_id(first - 1), max_messages=max_messages, max_bytes=max_bytes)
    made.extend([entry(seq) for seq in range(first, last + 1)])
    return made


def page(tail: Tail, after: int, *, limit: int = 100, max_bytes: int = MANY) -> Page:
    found = tail.page(after, limit=limit, max_bytes=max_bytes)
    assert found is not None
    return found


def seqs(page: Page | None) -> list[int]:
    assert page is not None
    return [json.loads(item)["seq"] for item in page.items]


def body(tail: Tail, seq: int) -> dict[str, Any]:
    (item,) = page(tail, seq - 1, limit=1).items
    return dict(json.loads(item))


def test_an_empty_tail_covers_nothing_but_its_own_head() -> None:
    new = tail(8)

    assert (new.head, new.head_id, len(new)) == (7, log_id(7), 0)
    assert page(new, 7) == Page(7, 7, log_id(7), ())
    assert new.page(6, limit=10, max_bytes=MANY) is None


def test_a_page_to_the_head_ends_at_the_head() -> None:
    found = page(tail(1, 5), 2)

    assert (found.after, found.upto, found.upto_id, seqs(found)) == (2, 5, log_id(5), [3, 4, 5])


def test_a_page_below_the_tail_is_not_there() -> None:
    assert tail(5, 9).page(3, limit=10, max_bytes=MANY) is None
    assert seqs(page(tail(5, 9), 4)) == [5, 6, 7, 8, 9]


def test_a_page_past_the_head_is_not_there() -> None:
    assert tail(1, 5).page(6, limit=10, max_bytes=MANY) is None


def test_a_page_is_limited_by_count_and_ends_at_its_last_item() -> None:
    found = page(tail(1, 9), 2, limit=3)

    assert (found.upto, found.upto_id, seqs(found)) == (5, log_id(5), [3, 4, 5])


@pytest.mark.parametrize(("max_bytes", "count"), [(1, 1), (2 * SIZE - 1, 1), (2 * SIZE, 2), (3 * SIZE - 1, 2)])
def test_a_page_is_limited_by_bytes_but_holds_one_item_at_least(max_bytes: int, count: int) -> None:
    found = page(tail(1, 9), 0, max_bytes=max_bytes)

    assert (found.upto, len(found.items)) == (count, count)


def test_a_page_at_the_limit_exactly_reaches_the_head() -> None:
    assert page(tail(1, 3), 0, limit=3).upto == 3


def test_entries_the_tail_has_already_are_passed_over() -> None:
    known = tail(1, 3)
    known.extend([entry(2, body=b'"another"'), entry(3), entry(4)])

    assert seqs(page(known, 0)) == [1, 2, 3, 4]
    assert body(known, 2)["body"] == "hi"


def test_a_seq_left_out_by_the_log_is_a_redacted_one() -> None:
    holed = tail(1, 2)
    holed.extend([entry(5)])

    assert seqs(page(holed, 0)) == [1, 2, 5]
    assert page(holed, 2) == Page(2, 5, log_id(5), (frames.item(entry(5)),))
    assert [holed.id_of(seq) for seq in (2, 3, 4, 5)] == [log_id(2), None, None, log_id(5)]


def test_holes_at_the_end_of_a_full_page_go_to_the_next() -> None:
    holed = tail(1, 2)
    holed.extend([entry(5), entry(6)])

    assert page(holed, 0, limit=2).upto == 2
    assert page(holed, 2, limit=1).upto == 5


def test_an_edit_puts_its_body_into_the_item_it_edits() -> None:
    edited = tail(1, 2)
    edited.extend([edit(3, 1, b'{"a": 1.50}')])

    assert body(edited, 1) | {"body": {"a": 1.5}, "edited": {"seq": 3, "ts": 1003}} == body(edited, 1)
    assert b'"body":{"a": 1.50}' in page(edited, 0).items[0]
    assert (body(edited, 1)["cmid"], body(edited, 1)["id"]) == ("m1", log_id(1))
    assert seqs(page(edited, 0)) == [1, 2, 3]


def test_the_latest_edit_wins() -> None:
    edited = tail(1, 1)
    edited.extend([edit(2, 1, b'"one"'), edit(3, 1, b'"two"')])

    assert (body(edited, 1)["body"], body(edited, 1)["edited"]["seq"]) == ("two", 3)


def test_a_redaction_takes_the_item_and_its_edits_away() -> None:
    redacted = tail(1, 2)
    redacted.extend([edit(3, 1), edit(4, 2), edit(5, 1), redaction(6, 1)])

    assert seqs(page(redacted, 0)) == [2, 4, 6]
    assert [redacted.id_of(seq) for seq in (1, 3, 5)] == [None, None, None]


def test_a_redaction_takes_edits_away_whose_target_was_shed_before() -> None:
    small = tail(1, 1, max_messages=4)
    small.extend([edit(2, 1), edit(3, 1), entry(4), entry(5), entry(6)])
    assert small.base > 2

    small.extend([redaction(7, 1)])

    assert b"edited" not in b"".join(page(small, small.base - 1).items)


def test_an_edit_or_redaction_of_what_is_not_here_changes_nothing() -> None:
    young = tail(5, 6)
    young.extend([edit(7, 2), redaction(8, 3), redaction(9, 9), edit(10, 10)])

    assert seqs(page(young, 4)) == [5, 6, 7, 8, 10]


def test_a_redacted_item_cannot_be_edited_back() -> None:
    redacted = tail(1, 1)
    redacted.extend([redaction(2, 1), edit(3, 1)])

    assert seqs(page(redacted, 0)) == [2, 3]


def test_the_bytes_are_those_of_the_items_held() -> None:
    counted = tail(1, 3)
    counted.extend([edit(4, 1, b'"longer than before"'), redaction(5, 2)])

    assert counted.bytes == sum(map(len, page(counted, 0).items))


def test_nothing_below_the_floor_is_shown() -> None:
    trimmed = tail(1, 9)
    trimmed.floor = 5

    assert seqs(page(trimmed, 0)) == [5, 6, 7, 8, 9]
    assert seqs(page(trimmed, 6)) == [7, 8, 9]
    trimmed.floor = 10
    assert page(trimmed, 0) == Page(0, 9, log_id(9), ())


def test_a_tail_that_starts_at_the_floor_covers_everything_there_is() -> None:
    trimmed = tail(5, 9)
    trimmed.floor = 5

    assert seqs(page(trimmed, 0)) == [5, 6, 7, 8, 9]


def test_the_oldest_are_shed_over_the_count() -> None:
    full = tail(1, 9, max_messages=8)

    assert (len(full), full.base, full.head) == (8, 2, 9)
    assert full.page(0, limit=1, max_bytes=MANY) is None


def test_the_oldest_are_shed_over_the_bytes() -> None:
    full = tail(1, 9, max_bytes=3 * SIZE)

    assert (len(full), full.bytes) == (3, 3 * SIZE)
    assert seqs(page(full, 6)) == [7, 8, 9]


def test_one_item_over_the_bytes_is_not_held_and_the_tail_goes_on() -> None:
    tight = tail(1, 3, max_bytes=SIZE - 1)

    assert (len(tight), tight.bytes, tight.head) == (0, 0, 3)
    assert tight.page(2, limit=1, max_bytes=MANY) is None
    assert page(tight, 3).items == ()


def test_what_the_floor_left_behind_is_shed_with_the_next_entries() -> None:
    trimmed = tail(1, 16)
    trimmed.floor = 9
    trimmed.extend([entry(17)])

    assert 7 <= trimmed.base <= 9
    assert seqs(page(trimmed, 0)) == list(range(9, 18))


def test_a_tail_gives_memory_back_and_keeps_the_newest() -> None:
    shrunk = tail(1, 9)
    shrunk.shrink(4 * SIZE)

    assert seqs(page(shrunk, 5)) == [6, 7, 8, 9]
    assert shrunk.bytes == 4 * SIZE


def test_a_tail_that_stands_elsewhere_has_forgotten_all() -> None:
    other = tail(1, 9)
    other.extend([edit(10, 1)])
    other.stand_at(log_id(4, digest=1))

    assert (other.head_id, other.base, other.bytes, len(other)) == (log_id(4, 1), 5, 0, 0)
    other.extend([entry(5), redaction(6, 1)])
    assert seqs(page(other, 4)) == [5, 6]


@pytest.mark.parametrize(("seq", "found"), [(0, None), (4, None), (5, log_id(5)), (9, log_id(9)), (10, None)])
def test_the_id_of_a_seq_is_known_where_it_is_held(seq: int, found: str | None) -> None:
    assert tail(5, 9).id_of(seq) == found


def test_the_id_of_the_head_is_known_when_nothing_is_held() -> None:
    assert tail(8).id_of(7) == log_id(7)


def test_a_page_of_entries_read_ends_at_the_last_of_them_or_where_the_log_does() -> None:
    assert page_of([entry(3), entry(5)], after=2, at=log_id(9)) == Page(
        2, 5, log_id(5), (frames.item(entry(3)), frames.item(entry(5)))
    )
    assert page_of([], after=2, at=log_id(9)) == Page(2, 9, log_id(9), ())
