from __future__ import annotations

from pushpull.client.pulls import PULLS, Pulls
from pushpull.client.rule import Position


def behind(head: int = 9, *, chasing: bool = True) -> Position:
    return Position("3-1", head=head, mode="push", chasing=chasing)


def cids(frames: list[dict[str, object]]) -> list[object]:
    return [frame["cid"] for frame in frames]


def test_a_conversation_that_is_behind_is_pulled_from_where_it_stands():
    pulls, position = Pulls(), behind()
    pulls.want("c")
    (frame,) = pulls.take({"c": position}, now=0.0)
    assert (frame["cid"], frame["after"]) == ("c", 3)
    assert position.pulling == 3


def test_one_that_stands_at_the_head_is_not_pulled():
    pulls = Pulls()
    pulls.want("c")
    assert pulls.take({"c": behind(head=3)}, now=0.0) == []


def test_only_so_many_are_pulled_at_a_time_and_in_the_order_they_asked():
    pulls = Pulls()
    positions = {f"c{n}": behind() for n in range(PULLS + 2)}
    for cid in positions:
        pulls.want(cid)
    assert cids(pulls.take(positions, now=0.0)) == [f"c{n}" for n in range(PULLS)]
    pulls.heard("c0", answer=True)
    assert cids(pulls.take(positions, now=0.0)) == [f"c{PULLS}"]


def test_a_pull_without_an_answer_is_sent_again():
    pulls, positions = Pulls(), {"c": behind()}
    pulls.want("c")
    pulls.take(positions, now=0.0)
    assert pulls.due_at == 10.0
    assert pulls.take(positions, now=9.9) == []
    assert cids(pulls.take(positions, now=10.0)) == ["c"]


def test_a_pushed_conversation_is_pulled_when_it_was_silent_for_long():
    pulls, positions = Pulls(), {"c": behind(chasing=False)}
    pulls.want("c")
    assert pulls.take(positions, now=0.0) == []
    assert pulls.due_at == 5.0
    assert cids(pulls.take(positions, now=5.0)) == ["c"]


def test_a_push_meanwhile_starts_the_patience_anew():
    pulls, positions = Pulls(), {"c": behind(chasing=False)}
    pulls.want("c")
    pulls.take(positions, now=0.0)
    pulls.heard("c", answer=False)
    pulls.want("c")
    assert pulls.take(positions, now=4.0) == []
    assert pulls.take(positions, now=5.0) == []
    assert cids(pulls.take(positions, now=9.0)) == ["c"]


def test_a_refused_pull_waits_before_it_is_tried_again():
    pulls, position = Pulls(), behind()
    pulls.want("c")
    (frame,) = pulls.take({"c": position}, now=0.0)
    assert pulls.refused(frame["rid"], wait_s=2.0, now=1.0) == "c"
    assert pulls.take({"c": position}, now=2.9) == []
    assert cids(pulls.take({"c": position}, now=3.0)) == ["c"]


def test_a_refusal_of_something_else_is_not_a_pull_s():
    assert Pulls().refused("read-1", wait_s=1.0, now=0.0) is None
