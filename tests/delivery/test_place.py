"""Where one device stands in one conversation: what it is told of its user's cursors."""

from __future__ import annotations

from pushpull.model import Cursors
from tests.delivery.words import attached, open_session


def test_cursors_are_told_when_they_are_news() -> None:
    place = attached(open_session())

    assert place.news_of(Cursors(1, 1, 4, 5)) == Cursors(1, 1, 4, 5)
    assert place.news_of(Cursors(1, 1, 4, 5)) is None
    assert place.news_of(Cursors(3, 1, 4, 5)) == Cursors(3, 1, 4, 5)


def test_cursors_that_are_heard_of_out_of_order_never_go_back() -> None:
    place = attached(open_session())
    place.news_of(Cursors(delivered=3, read=6, unread=0, count=6))

    late = Cursors(delivered=5, read=2, unread=3, count=5)

    assert place.news_of(late) == Cursors(delivered=5, read=6, unread=0, count=6)
    assert place.news_of(late) is None


def test_of_two_with_the_same_read_cursor_the_one_with_more_messages_counts() -> None:
    place = attached(open_session())
    place.news_of(Cursors(delivered=7, read=6, unread=2, count=8))

    assert place.news_of(Cursors(delivered=6, read=6, unread=1, count=7)) is None
