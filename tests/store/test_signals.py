"""Signals at Redis: who may say one, and what rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pushpull.errors import NoSuchConversation, NotAllowed, NotAMember, PushpullError
from pushpull.model import Cid, SessionId, Uid
from pushpull.store import Store
from pushpull.store.passing import SignalBell
from pushpull.store.signals import Said
from pushpull.store.values import Subscribed
from tests.store.conftest import ALICE, CAROL, ROOM

PHONE = SessionId("s1")


def said(
    sender: Uid = ALICE, cid: Cid = ROOM, *, most: int = 200, body: bytes = b'{"typing": true}', still: bool = True
) -> Said:
    return Said(cid=cid, sender=sender, session=PHONE, body=body, most_members=most, still=lambda: still)


async def heard(store: Store, *signals: Said) -> list[SignalBell]:
    """The signals that rang, of these."""
    bells = store.bells()
    await bells.start("n1")
    await bells.subscribe([ROOM])
    try:
        while not isinstance(await bells.next(1.0), Subscribed):
            pass
        await asyncio.gather(*(store.signals.say(each) for each in signals))
        rings = []
        while (ring := await bells.next(0.2)) is not None:
            rings += [each for each in (ring, *bells.ready()) if isinstance(each, SignalBell)]
        return rings
    finally:
        await bells.aclose()


async def test_what_a_member_says_rings_with_the_state_of_the_members(store: Store) -> None:
    head = await store.conversations.head(ROOM)

    assert await heard(store, said()) == [SignalBell(ROOM, head.epoch, head.mver, ALICE, PHONE, b'{"typing": true}')]


async def test_a_body_may_hold_spaces(store: Store) -> None:
    (bell,) = await heard(store, said(body=b'" a  b "'))

    assert bell.body == b'" a  b "'


async def test_what_is_too_old_when_its_turn_comes_is_not_said(store: Store) -> None:
    rang = await heard(store, said(body=b"1"), said(body=b"2", still=False), said(body=b"3"))

    assert [bell.body for bell in rang] == [b"1", b"3"]


REFUSED: list[tuple[Callable[[], Said], type[PushpullError], str]] = [
    (lambda: said(cid=Cid("nowhere")), NoSuchConversation, "nowhere"),
    (lambda: said(Uid("dave")), NotAMember, "dave"),
    (lambda: said(CAROL), NotAllowed, "carol is a reader"),
    (lambda: said(most=2), NotAllowed, "3 members: signals go to conversations of up to 2"),
]


@pytest.mark.parametrize(("signal", "error", "says"), REFUSED, ids=["nowhere", "stranger", "reader", "too many"])
async def test_who_may_not_is_told_and_nothing_rings(
    store: Store, signal: Callable[[], Said], error: type[PushpullError], says: str
) -> None:
    with pytest.raises(error, match=says):
        await store.signals.say(signal())


async def test_a_removed_member_says_nothing_more(store: Store) -> None:
    await store.members.remove(ROOM, [ALICE])

    with pytest.raises(NotAMember, match="alice"):
        await store.signals.say(said())


async def test_nothing_is_kept(real_store: Store) -> None:
    before = await real_store._wire.command("DBSIZE")

    await real_store.signals.say(said())

    assert await real_store._wire.command("DBSIZE") == before
