"""Frames that the service refused for the moment."""

from __future__ import annotations

from pushpull.client.again import Again

SYNC = {"type": "sync", "after": "tea"}
READ = {"type": "read", "cid": "tea", "seq": 7}


def test_a_refused_frame_is_said_again_when_it_was_told_to() -> None:
    again = Again()
    sync, read = again.marked(SYNC), again.marked(READ)

    assert again.refused(sync["rid"], wait_s=0.5, now=1.0)
    assert again.refused(read["rid"], wait_s=2.0, now=1.0)

    assert again.due_at == 1.5
    assert again.take(now=1.4) == []
    assert again.take(now=1.5) == [sync]
    assert again.take(now=9.0) == [read]
    assert (again.due_at, again.take(now=9.0)) == (None, [])


def test_other_refusals_are_not_taken_for_its_own() -> None:
    again = Again()

    assert not any(again.refused(rid, wait_s=1.0, now=1.0) for rid in (None, 7, "ask-1"))


def test_a_new_session_begins_with_nothing_to_repeat() -> None:
    again = Again()
    again.refused(again.marked(READ)["rid"], wait_s=1.0, now=1.0)

    again.clear()

    assert again.take(now=9.0) == []
