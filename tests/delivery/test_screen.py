"""What a device has on its screen, and which of its conversations that touches."""

from __future__ import annotations

from pushpull.delivery.decisions import Authenticate, Looked
from pushpull.delivery.policy import Focus
from pushpull.delivery.screen import Screen
from pushpull.delivery.session import Session
from pushpull.model import Cid, LogId, Mode, SessionId, Uid
from pushpull.settings import Settings
from tests.delivery.words import Connection

A, B, C = Cid("a"), Cid("b"), Cid("c")


def session(hello: str = "") -> Session:
    made = Session(SessionId("s"), Connection(), settings=Settings(), now=0.0)
    (asked,) = made.receive(f'{{"type":"hello","device":"d"{hello}}}', 0.0)
    assert isinstance(asked, Authenticate)
    made.opened(Uid("ann"), expires_at=None)
    for cid in (A, B, C):
        made.attach(cid, LogId("1-1"), Mode.PUSH)
    return made


def foci(of: Session) -> list[Focus]:
    return [of.places[cid].focus for cid in (A, B, C)]


def say(to: Session, fields: str) -> list[Cid]:
    (looked,) = to.receive(f'{{"type":"focus",{fields}}}', 0.0)
    assert isinstance(looked, Looked)
    return [place.cid for place in looked.places]


def test_a_client_that_never_says_is_not_taken_for_one_that_looks_elsewhere() -> None:
    assert foci(session()) == [Focus.UNSAID] * 3
    assert Screen().focus_on(A) is Focus.UNSAID


def test_hello_says_it_of_everything_that_is_listed_later() -> None:
    assert foci(session(',"focus":"b"')) == [Focus.ELSEWHERE, Focus.HERE, Focus.ELSEWHERE]
    assert foci(session(',"focus":null')) == [Focus.ELSEWHERE] * 3
    assert foci(session(',"focus":"b","active":false')) == [Focus.ELSEWHERE] * 3


def test_the_first_word_is_one_about_all_conversations() -> None:
    said = session()

    assert say(said, '"cid":"a"') == [A, B, C]
    assert foci(said) == [Focus.HERE, Focus.ELSEWHERE, Focus.ELSEWHERE]


def test_later_ones_touch_the_conversation_left_and_the_one_opened() -> None:
    said = session(',"focus":"a"')

    assert say(said, '"cid":"b"') == [A, B]
    assert foci(said) == [Focus.ELSEWHERE, Focus.HERE, Focus.ELSEWHERE]
    assert say(said, '"cid":"b"') == []
    assert say(said, '"cid":null') == [B]
    assert foci(said) == [Focus.ELSEWHERE] * 3


def test_an_app_in_the_background_shows_nothing() -> None:
    said = session(',"focus":"a"')

    assert say(said, '"cid":"a","active":false') == [A]
    assert foci(said)[0] is Focus.ELSEWHERE
    assert say(said, '"cid":"a","active":true') == [A]
    assert foci(said)[0] is Focus.HERE


def test_a_conversation_that_is_not_listed_yet_is_remembered() -> None:
    said = session(',"focus":null')
    later = Cid("later")

    assert say(said, '"cid":"later"') == []

    assert said.attach(later, LogId("1-1"), Mode.PUSH).focus is Focus.HERE


def test_a_cid_that_is_none_is_refused_and_changes_nothing() -> None:
    said = session(',"focus":"a"')

    (answer,) = said.receive('{"type":"focus","cid":"no blanks","rid":7}', 0.0)

    assert b'"code":"invalid"' in answer.data  # type: ignore[union-attr]
    assert foci(said)[0] is Focus.HERE
