from pushpull.client.acks import Acks


def test_an_ack_waits_for_its_delay_and_is_cumulative():
    acks = Acks(delay_s=0.2, max_messages=100)
    acks.stored("c", 1, now=10.0)
    acks.stored("c", 2, now=10.1)
    assert acks.due_at == 10.2
    assert acks.take(now=10.1) == {}
    assert acks.take(now=10.2) == {"c": 2}


def test_an_ack_goes_out_at_once_when_enough_messages_wait():
    acks = Acks(delay_s=5.0, max_messages=3)
    for seq in (1, 2, 3):
        acks.stored("c", seq, now=10.0)
    assert acks.take(now=10.0) == {"c": 3}


def test_one_frame_acks_all_conversations():
    acks = Acks(delay_s=0.2, max_messages=100)
    acks.stored("a", 4, now=10.0)
    acks.stored("b", 7, now=10.1)
    assert acks.take(now=10.2) == {"a": 4, "b": 7}


def test_after_an_ack_nothing_is_due():
    acks = Acks(delay_s=0.2, max_messages=1)
    acks.stored("c", 1, now=10.0)
    acks.take(now=10.0)
    assert acks.due_at is None
    assert acks.take(now=99.0) == {}


def test_a_redelivery_is_acked_again_at_once():
    acks = Acks(delay_s=0.2, max_messages=1)
    acks.stored("c", 4, now=10.0)
    acks.take(now=10.0)
    acks.repeat("c", at=11.0)
    assert acks.take(now=11.0) == {"c": 4}


def test_a_redelivery_of_what_is_not_stored_is_not_acked():
    acks = Acks()
    acks.repeat("c", at=11.0)
    assert acks.due_at is None


def test_an_ack_never_goes_back():
    acks = Acks(delay_s=0.0, max_messages=1)
    acks.stored("c", 4, now=10.0)
    acks.stored("c", 3, now=10.0)
    assert acks.take(now=10.0) == {"c": 4}


def test_a_new_session_that_believes_less_is_told_again():
    acks = Acks()
    acks.on_row("c", pos_seq=9, delivered=5, now=10.0)
    assert acks.take(now=10.0) == {"c": 9}


def test_a_new_session_that_knows_already_is_told_nothing():
    acks = Acks()
    acks.on_row("c", pos_seq=9, delivered=9, now=10.0)
    assert acks.take(now=10.0, at_once=True) == {}


def test_a_forgotten_conversation_is_not_acked():
    acks = Acks()
    acks.stored("c", 4, now=10.0)
    acks.forget("c")
    assert acks.take(now=99.0) == {}
