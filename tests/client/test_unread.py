from pushpull.client.unread import Badge


def test_a_pushed_message_counts_and_a_quiet_one_does_not():
    badge = Badge.stated(unread=2, count=10, head=12)
    badge.on_message(seq=13, quiet=False)
    badge.on_message(seq=14, quiet=True)
    assert badge.unread == 3


def test_backlog_that_the_row_has_counted_is_not_counted_again():
    badge = Badge.stated(unread=2, count=10, head=12)
    badge.on_message(seq=11, quiet=False)
    badge.on_message(seq=12, quiet=False)
    assert badge.unread == 2


def test_a_notice_moves_unread_by_the_difference_of_counts():
    badge = Badge.stated(unread=2, count=10, head=12)
    badge.on_notice(head=20, count=17)
    assert badge.unread == 9


def test_messages_pulled_after_the_notice_are_not_counted_twice():
    badge = Badge.stated(unread=0, count=10, head=12)
    badge.on_notice(head=14, count=12)
    badge.on_message(seq=13, quiet=False)
    badge.on_message(seq=14, quiet=False)
    assert badge.unread == 2


def test_reading_everything_brings_it_to_zero_and_later_messages_count_from_there():
    badge = Badge.stated(unread=5, count=10, head=12)
    badge.on_cursors(unread=0, count=10)
    badge.on_message(seq=13, quiet=False)
    assert badge.unread == 1


def test_cursors_that_know_of_a_message_before_it_arrives_do_not_count_it_twice():
    badge = Badge.stated(unread=0, count=10, head=12)
    badge.on_cursors(unread=1, count=11)
    badge.on_message(seq=13, quiet=False)
    assert badge.unread == 1


def test_an_old_notice_changes_nothing():
    badge = Badge.stated(unread=0, count=10, head=12)
    badge.on_message(seq=13, quiet=False)
    badge.on_notice(head=11, count=9)
    assert badge.unread == 1
