"""What only other nodes know: who is asked, how long is waited, and what is made of the answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pushpull.delivery.trace import Stand
from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, Uid
from pushpull.node import asking
from pushpull.store.values import Announcement
from tests.node.fakes import Clock

ROOM, BOB = Cid("room"), Uid("bob")


class FakeQuestions:
    """Keeps what was asked; answers are what a test puts there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.said: dict[str, bytes] = {}
        self.looks = 0
        self.problem: StoreUnavailable | None = None

    async def ask(self, question: str, uid: Uid, cid: Cid) -> None:
        self.asked.append(question)

    async def answers(self, question: str) -> dict[str, bytes]:
        self.looks += 1
        return dict(self.said)

    async def answer(self, question: str, node: str, answer: bytes) -> None:
        if self.problem is not None:
            raise self.problem
        self.said[node] = answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asking, "asyncio", clock)
    monkeypatch.setattr(asking, "time", clock)
    return clock


@pytest.fixture
def questions() -> FakeQuestions:
    return FakeQuestions()


@pytest.fixture
def parts(questions: FakeQuestions) -> Any:
    """A node to which nobody is connected."""
    peers = SimpleNamespace(of=lambda uid: ())
    return SimpleNamespace(node_id="here", peers=peers, store=SimpleNamespace(questions=questions))


def stand(session: str) -> Stand:
    return Stand(session=session, buffered=0, place=None)


def encoded(*stands: Stand) -> bytes:
    return msgspec.json.encode(stands)


async def test_where_the_user_is_on_no_other_node_nobody_is_asked(parts: Any, questions: FakeQuestions) -> None:
    assert await asking.ask(parts, BOB, ROOM, nodes=["here"]) == ([], [])
    assert questions.asked == []


async def test_as_soon_as_all_have_answered_that_is_the_answer(
    parts: Any, questions: FakeQuestions, clock: Clock
) -> None:
    asked = asyncio.ensure_future(asking.ask(parts, BOB, ROOM, nodes=["here", "n2", "n3"]))
    await clock.advance(0.05)
    questions.said["n2"] = encoded(stand("s2"))
    await clock.advance(0.1)
    assert not asked.done()
    questions.said |= {"n3": encoded(), "n4": encoded(stand("s4"))}
    await clock.advance(0.1)

    assert await asked == ([stand("s2"), stand("s4")], [])
    assert questions.looks < 12, "it looks less and less often"


async def test_who_has_not_answered_within_a_second_is_named(
    parts: Any, questions: FakeQuestions, clock: Clock
) -> None:
    asked = asyncio.ensure_future(asking.ask(parts, BOB, ROOM, nodes=["n2", "n3"]))
    questions.said["n2"] = encoded(stand("s2"))
    await clock.advance(0.9)
    assert not asked.done()
    await clock.advance(0.2)

    assert await asked == ([stand("s2")], ["n3"])


async def test_an_answer_in_the_words_of_another_release_is_none(
    parts: Any, questions: FakeQuestions, clock: Clock
) -> None:
    questions.said = {"n2": b'[{"elsewhere": 1}]'}
    assert await asking.ask(parts, BOB, ROOM, nodes=["n2"]) == ([], ["n2"])


async def test_a_node_answers_also_where_it_knows_nothing(parts: Any, questions: FakeQuestions) -> None:
    await asking.answer(parts, Announcement(kind="asked", cid=ROOM, users=(BOB,), question="q1"))
    assert questions.said == {"here": encoded()}


async def test_an_answer_that_redis_does_not_take_is_given_up(parts: Any, questions: FakeQuestions) -> None:
    questions.problem = StoreUnavailable("redis cannot be reached")
    await asking.answer(parts, Announcement(kind="asked", cid=ROOM, users=(BOB,), question="q1"))
    assert questions.said == {}
