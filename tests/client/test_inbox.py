from __future__ import annotations

from pushpull.client.events import Changed, Reset
from pushpull.client.inbox import Inbox
from tests.client.words import log_id, message


def inbox_at(seq: int = 0, *, max_queued: int = 100) -> Inbox:
    return Inbox({"c": log_id(seq)}, max_queued=max_queued)


def reset(reason: str, seq: int, *, tag: int = 1) -> Reset:
    return Reset(cid="c", reason=reason, pos=log_id(seq, tag), epoch="2", head=seq, floor=1)


def seqs(inbox: Inbox) -> list[object]:
    taken = []
    while (entry := inbox.take()) is not None:
        taken.append(getattr(entry.event, "seq", None) or type(entry.event).__name__)
    return taken


def test_messages_come_out_as_they_went_in():
    inbox = inbox_at()
    inbox.put("c", [message(1), message(2)], "2-1")
    inbox.put("c", [message(3)], "3-1")
    assert seqs(inbox) == [1, 2, 3]


def test_a_message_is_stored_when_the_owner_settles_it_and_not_when_it_takes_it():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "1-1")
    inbox.take()
    assert (inbox.handed["c"], inbox.stored["c"]) == ("1-1", "0-1")
    assert inbox.settle() == ("c", "1-1")
    assert inbox.stored["c"] == "1-1"


def test_settling_twice_moves_nothing():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "1-1")
    inbox.take()
    inbox.settle()
    assert inbox.settle() is None


def test_redacted_messages_at_the_end_of_a_frame_move_the_position_too():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "3-1")
    inbox.take()
    inbox.settle()
    marker = inbox.take()
    assert marker is not None
    assert marker.event is None
    assert inbox.settle() == ("c", "3-1")


def test_a_rewind_drops_what_was_not_taken_and_keeps_what_was():
    inbox = inbox_at()
    inbox.put("c", [message(1), message(2)], "2-1")
    inbox.take()
    inbox.rewind()
    assert inbox.take() is None
    assert inbox.handed["c"] == "1-1"


def test_a_divergence_drops_the_messages_above_and_stands_in_their_place():
    inbox = inbox_at()
    inbox.put("c", [message(1), message(2), message(3)], "3-1")
    inbox.put_reset(reset("diverged", 1))
    inbox.put("c", [message(2, tag=2)], "2-2")
    assert seqs(inbox) == [1, "Reset", 2]


def test_a_trim_keeps_what_is_queued():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "1-1")
    inbox.put_reset(reset("trimmed", 7))
    assert seqs(inbox) == [1, "Reset"]


def test_a_new_epoch_drops_all_of_the_conversation_and_nothing_of_others():
    inbox = Inbox({"c": "0-1", "d": "0-1"}, max_queued=100)
    inbox.put("c", [message(1)], "1-1")
    inbox.put("d", [message(5, cid="d")], "5-1")
    inbox.put_reset(reset("epoch", 0))
    assert seqs(inbox) == [5, "Reset"]


def test_the_position_goes_back_when_the_owner_is_done_with_the_reset():
    inbox = inbox_at(9)
    inbox.put_reset(reset("diverged", 4))
    assert inbox.stored["c"] == "9-1"
    inbox.take()
    assert inbox.settle() == ("c", "4-1")
    assert inbox.stored["c"] == "4-1"


def test_what_was_in_hand_when_its_log_diverged_is_not_stored_afterwards():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "1-1")
    inbox.take()
    inbox.put_reset(reset("diverged", 0))
    assert inbox.settle() is None
    assert inbox.stored["c"] == "0-1"


def test_events_without_a_position_are_dropped_while_it_is_full():
    inbox = inbox_at(max_queued=2)
    inbox.put("c", [message(1), message(2)], "2-1")
    inbox.put_event(Changed("d", "joined"))
    assert seqs(inbox) == [1, 2]


def test_acks_by_hand_do_not_pass_what_was_handed_out():
    inbox = inbox_at()
    inbox.put("c", [message(1), message(2)], "2-1")
    inbox.take()
    assert not inbox.mark_stored("c", "2-1")
    assert inbox.mark_stored("c", "1-1")


def test_with_acks_by_hand_asking_for_the_next_stores_nothing():
    inbox = inbox_at()
    inbox.put("c", [message(1)], "1-1")
    inbox.take()
    assert inbox.settle(resets_only=True) is None
    assert inbox.stored["c"] == "0-1"
