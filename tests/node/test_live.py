"""What happens when something is heard: bells, announcements, changes of members."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, ConversationSettings, Mode, SessionId, Uid
from pushpull.node import live as live_module
from pushpull.store.values import Announcement, ControlSubscribed, Subscribed, Verdict
from tests.delivery.words import ROOM, entry, log_id
from tests.node.fakes import Bench, FakePeer, bell, turns

Make = Callable[..., Bench]
ALICE, BOB = Uid("alice"), Uid("bob")
OTHER = Cid("other")


def announce(bench: Bench, kind: str, *users: str, cid: Cid | None = ROOM, **fields: object) -> None:
    bench.live.rung([Announcement(kind=kind, cid=cid, users=tuple(map(Uid, users)), **fields)])  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- bells


async def test_a_bell_that_fits_is_delivered_without_a_read(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)

    bench.say(feed)
    await turns()

    assert (bench.said[0].ranges(), bench.log.batches) == ([(0, 1)], [])


async def test_bells_that_came_together_travel_in_one_frame(bench: Bench) -> None:
    bench.log.put(0, OTHER)
    feed, other = await bench.open(), await bench.open(OTHER)
    bench.attach(feed)
    bench.attach(other)
    new, elsewhere = bench.log.put(3), bench.log.put(1, OTHER)

    first, *rest = [bench.bell_of(each, feed) for each in new]
    bench.live.rung([first, bench.bell_of(elsewhere[0], other), *rest])
    await turns()

    assert [said.ranges() for said in bench.said] == [[(0, 3)], [(0, 1)]]
    assert bench.log.batches == []


async def test_a_bell_that_does_not_fit_among_those_that_came_together_costs_a_read_and_nothing_else(
    bench: Bench,
) -> None:
    feed = await bench.open()
    bench.attach(feed)
    new = bench.log.put(4)

    bench.live.rung([bench.bell_of(new[n], feed) for n in (0, 1, 3)])
    assert bench.said[0].ranges() == [(0, 2)]
    await turns()

    assert bench.said[0].ranges() == [(0, 2), (2, 4)]


async def test_a_ring_that_fails_does_not_silence_those_that_came_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.log.put(0, OTHER)
    feed, other = await bench.open(), await bench.open(OTHER)
    bench.attach(other)
    monkeypatch.setattr(feed, "take_bell", lambda bell: 1 / 0)
    failing, fine = bench.log.put(1), bench.log.put(1, OTHER)

    bench.live.rung([bench.bell_of(failing[0], feed), bench.bell_of(fine[0], other)])

    assert bench.said[0].ranges() == [(0, 1)]
    assert [record.message for record in caplog.records] == ["a ring could not be handled"]


async def test_a_bell_after_a_lost_one_is_answered_with_a_read_and_nothing_is_missed(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(1)

    bench.say(feed)
    await turns()

    assert (bench.said[0].ranges(), bench.log.batches) == ([(0, 2)], [1])


async def test_a_message_too_large_for_its_bell_is_read(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(1)

    bench.live.rung([bell(entry(1), prev=log_id(0), entry=None)])
    await turns()

    assert bench.said[0].ranges() == [(0, 1)]


async def test_a_subscription_made_anew_reads_what_was_missed(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(2)

    bench.live.rung([Subscribed(ROOM)])
    await turns()

    assert bench.said[0].ranges() == [(0, 2)]


async def test_a_bell_of_a_conversation_nobody_here_needs_is_passed_over(bench: Bench) -> None:
    bench.live.rung([bell(entry(1), prev=log_id(0))])
    await turns()

    assert bench.log.batches == []


# ---------------------------------------------------------------------------------------------------- members


async def test_one_who_was_removed_gets_nothing_more_even_when_the_word_of_it_was_lost(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed, uid="alice")
    bench.attach(feed, uid="bob")
    bench.members.gone = {"bob"}
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}

    bench.say(feed)
    await turns()
    bench.say(feed)
    await turns()

    (bob,) = bench.peers.of(BOB)
    assert isinstance(bob, FakePeer)
    assert bob.left == [(ROOM, "left")]
    assert [said.ranges() for said in bench.said] == [[(0, 1), (1, 2)], []]
    assert list(feed.pushed) == [bench.places[0]]


async def test_members_are_asked_for_until_redis_answers(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed, uid="bob")
    bench.members.gone, bench.members.problem = {"bob"}, StoreUnavailable("redis is away")
    checking = asyncio.create_task(bench.live.recheck(feed))
    await turns()
    assert bench.places[0].attached

    bench.members.problem = None
    await checking

    assert not bench.places[0].attached


async def test_users_are_checked_in_chunks_and_each_user_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "CHECKED_AT_ONCE", 2)
    feed = await bench.open()
    for uid in ("a", "b", "c", "a"):
        bench.attach(feed, uid=uid)

    await bench.live.recheck(feed)

    assert sorted(len(chunk) for chunk in bench.members.asked) == [1, 2]
    assert sorted(uid for chunk in bench.members.asked for uid in chunk) == ["a", "b", "c"]


async def test_what_rings_while_members_are_checked_waits_and_is_checked_in_its_turn(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed, uid="alice")
    bench.attach(feed, uid="bob")
    bench.members.problem = StoreUnavailable("redis is away")
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}
    bench.say(feed)
    await turns()
    bench.members.gone = {"bob"}
    bench.log.meta[ROOM] = {"mver": 3, "removals": 2}
    bench.say(feed)
    await turns()
    assert [said.ranges() for said in bench.said] == [[], []]

    bench.members.problem = None
    await turns(60)

    assert [said.ranges() for said in bench.said] == [[(0, 1), (1, 2)], []]


async def test_one_who_attaches_during_a_check_gets_what_it_lacks_when_it_is_over(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.members.problem = StoreUnavailable("redis is away")
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}
    bench.say(feed, 2)
    await turns()
    late = bench.attach(feed, at=1)
    bench.hub.settle(feed, late)
    assert bench.said[1].ranges() == []

    bench.members.problem = None
    await turns()
    bench.hub.settle_full()

    assert [said.ranges() for said in bench.said] == [[(0, 2)], [(1, 2)]]


async def test_a_mention_during_a_check_rings_when_it_is_over(make_bench: Make) -> None:
    bench = make_bench(push_max_members=0, inline_max_bytes=0)
    feed = await bench.open()
    bench.attach(feed, uid="alice")
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}

    bench.say(feed, mentions=("alice",))
    await turns()

    assert [frame.get("mentioned") for frame in bench.said[0].heard("notice")] == [True]


async def test_members_who_join_cost_no_check_of_those_who_are_there(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.meta[ROOM] = {"mver": 2, "members": 3}

    bench.say(feed)
    await turns()

    assert (bench.said[0].ranges(), bench.members.asked) == ([(0, 1)], [])


async def test_a_group_that_grew_is_notified_from_then_on(make_bench: Make) -> None:
    bench = make_bench(push_max_members=10, inline_max_bytes=0)
    feed = await bench.open()
    place = bench.attach(feed)
    bench.log.meta[ROOM] = {"mver": 2, "members": 12}

    bench.say(feed)
    await turns()
    assert (place.mode, place in feed.noticed) == (Mode.NOTIFY, True)
    bench.say(feed)
    await turns()

    assert [frame["type"] for frame in bench.said[0].heard()][-1] == "notice"


async def test_changed_settings_are_told_to_everyone_there(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.meta[ROOM] = {"mver": 2, "settings": ConversationSettings(data={"title": "new"})}

    bench.live.rung([bell(entry(1), prev=log_id(1), id=feed.tail.head_id, mver=2, entry=None)])
    await turns()

    assert bench.said[0].heard() == [{"type": "conversation", "cid": "room", "change": "updated"}]


async def test_a_deleted_conversation_is_left_by_everyone_and_its_feed_closed(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    (peer,) = bench.peers.of(bench.places[0].device.uid)
    assert isinstance(peer, FakePeer)

    bench.live.gone(feed)
    await turns()

    assert peer.left == [(ROOM, "deleted")]
    assert (bench.feeds.get(ROOM), bench.board.unsubscribed) == (None, [ROOM])


async def test_of_a_conversation_made_again_before_its_deletion_was_heard_devices_leave_the_old_and_find_the_new(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.log.put(3)
    feed = await bench.open()
    bench.attach(feed)
    (peer,) = bench.peers.of(bench.places[0].device.uid)
    assert isinstance(peer, FakePeer)
    monkeypatch.setattr(bench.log, "_verdict", lambda *asked: Verdict.DELETED)

    bench.reader.mark_stale(feed)
    await turns()

    assert (peer.left, peer.joins) == ([(ROOM, "deleted")], [ROOM])
    assert bench.feeds.get(ROOM) is None
    assert (bench.log.epochs, bench.said[0].heard()) == ([], [])


# ---------------------------------------------------------------------------------------------------- announcements


async def test_joined_attaches_every_session_of_the_users_here(bench: Bench) -> None:
    one, two, other = bench.peer("alice"), bench.peer("alice"), bench.peer("bob")

    announce(bench, "joined", "alice", "nobody-here")
    await turns()

    assert (one.joins, two.joins, other.joins) == ([ROOM], [ROOM], [])


async def test_a_session_whose_list_cannot_be_read_is_sent_away_to_come_back(bench: Bench) -> None:
    peer = bench.peer("alice")
    peer.problem = StoreUnavailable("redis is away")

    announce(bench, "joined", "alice")
    await turns()

    assert peer.connection.closed is not None
    assert peer.connection.closed[0] == 1013


@pytest.mark.parametrize("kind", ["left", "deleted"])
async def test_left_and_deleted_end_it_at_once(bench: Bench, kind: str) -> None:
    feed = await bench.open()
    place = bench.attach(feed, uid="alice")
    (peer,) = bench.peers.of(ALICE)
    assert isinstance(peer, FakePeer)

    announce(bench, kind, "alice")

    assert (peer.left, place.attached, bool(feed)) == ([(ROOM, kind)], False, False)


async def test_a_kick_ends_one_session_or_all(bench: Bench) -> None:
    one, two = bench.peer("alice"), bench.peer("alice")

    announce(bench, "kick", "alice", cid=None, session=SessionId(one.session.id))
    assert (one.connection.closed is not None, two.connection.closed) == (True, None)
    announce(bench, "kick", "alice", cid=None)

    assert two.connection.closed == (4403, "the session was ended by the service")


async def test_a_session_that_was_replaced_on_another_node_is_told_so(bench: Bench) -> None:
    one, two = bench.peer("alice"), bench.peer("alice")

    announce(bench, "kick", "alice", cid=None, session=SessionId(one.session.id), replaced=True)

    assert one.connection.closed == (4409, "replaced by another connection")
    assert two.connection.closed is None


async def test_revoked_tokens_are_looked_at_again_and_forgotten(bench: Bench) -> None:
    peer, other = bench.peer("alice"), bench.peer("bob")

    announce(bench, "revoked", "alice", cid=None, ts=500)

    assert (peer.revoked, other.revoked, bench.forgotten) == ([500], [], [ALICE])


async def test_a_revocation_that_was_announced_while_the_control_channel_was_cut_is_looked_up(bench: Bench) -> None:
    alice, bob = bench.peer("alice"), bench.peer("bob")
    bench.presence.fates[alice.session.id] = {"revoked_before": 500}

    bench.live.rung([ControlSubscribed()])
    await turns()

    assert (alice.revoked, bob.revoked) == ([500], [])
    assert sorted(bench.forgotten) == [ALICE, BOB]


async def test_an_announcement_of_a_later_release_is_passed_over(bench: Bench) -> None:
    peer = bench.peer("alice")

    announce(bench, "promoted", "alice")
    announce(bench, "joined", "alice", cid=None)
    await turns()

    assert (peer.joins, peer.connection.closed) == ([], None)


async def test_after_the_control_channel_was_cut_every_list_is_checked(bench: Bench) -> None:
    peers = [bench.peer(uid) for uid in ("alice", "alice", "bob")]
    peers[1].problem = StoreUnavailable("redis is away")

    bench.live.rung([ControlSubscribed()])
    await turns()

    assert [peer.list_checks for peer in peers] == [1, 1, 1]
    assert [peer.connection.closed is None for peer in peers] == [True, False, True]


async def test_a_policy_that_was_changed_elsewhere_is_read(bench: Bench) -> None:
    bench.live.rung([Announcement(kind="policy", number=1)])
    await turns()
    assert bench.parts.policy.reads == 1  # type: ignore[attr-defined]

    bench.live.rung([ControlSubscribed()])
    await turns()

    assert bench.parts.policy.reads == 2  # type: ignore[attr-defined]
