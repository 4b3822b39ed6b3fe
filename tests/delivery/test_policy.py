"""How a session gets a conversation: the table in docs/threshold.md, and that nothing flaps at an edge."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushpull.delivery.policy import Focus, Situation, Standing, Way, decide, interval_s, next_stretch, stand
from pushpull.model import ConversationSettings, Mode
from pushpull.settings import Delivery

SETTINGS = Delivery(
    push_max_members=200, hysteresis=0.1, push_max_per_s=15.0, push_window_ms=250, notify_interval_ms=200
)
CALM, LARGE = Standing(large=False, busy=False), Standing(large=True, busy=False)
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "threshold.md"


def asks(mode: str, push_window_ms: int | None = None) -> ConversationSettings:
    return ConversationSettings(mode=mode, push_window_ms=push_window_ms)


def cases() -> list[tuple[str, ...]]:
    table = DOCUMENT.read_text().split("<!-- cases -->")[1].split("<!-- end of cases -->")[0]
    rows = [tuple(cell.strip() for cell in row.strip("| ").split("|")) for row in table.strip().splitlines()]
    return rows[2:]


def own_of(says: str) -> ConversationSettings:
    mode, _, window = says.partition(", ")
    return asks(mode, int(window.removesuffix(" ms")) if window else None)


@pytest.mark.parametrize("row", cases(), ids=" ".join)
def test_the_table_of_cases_in_the_docs(row: tuple[str, ...]) -> None:
    says, members, rate, load, screen, keeps_up, stood, way = row
    situation = Situation(
        members=int(members),
        own=own_of(says),
        rate=float(rate),
        load=float(load),
        focus=Focus(screen),
        slow={"yes": False, "no": True}[keeps_up],
    )
    before = None if stood == "-" else Standing("large" in stood, "busy" in stood)

    assert decide(situation, before=before, settings=SETTINGS).way is Way(way)


def test_the_table_is_of_the_defaults() -> None:
    default = Delivery()

    assert (default.push_max_members, default.hysteresis) == (SETTINGS.push_max_members, SETTINGS.hysteresis)
    assert (default.push_max_per_s, default.push_window_ms) == (SETTINGS.push_max_per_s, SETTINGS.push_window_ms)
    assert len(cases()) > 30
    assert {row[-1] for row in cases()} == {way.value for way in Way}


def test_a_group_that_hovers_around_the_threshold_does_not_flip() -> None:
    modes, before = [], None
    for members in (199, 201, 205, 199, 219, 221, 205, 199, 181, 179, 199, 205):
        decision = decide(Situation(members, asks("auto")), before=before, settings=SETTINGS)
        before = decision.standing
        modes.append(decision.mode)

    assert modes == [Mode.PUSH] * 5 + [Mode.NOTIFY] * 4 + [Mode.PUSH] * 3


def test_without_hysteresis_the_threshold_is_one_line() -> None:
    settings = Delivery(push_max_members=10, hysteresis=0.0)

    def mode(members: int, before: Standing) -> Mode:
        return decide(Situation(members, asks("auto")), before=before, settings=settings).mode

    assert (mode(10, CALM), mode(11, CALM), mode(9, LARGE)) == (Mode.PUSH, Mode.NOTIFY, Mode.PUSH)


@given(
    members=st.lists(st.integers(181, 219), max_size=50),
    first=st.integers(0, 1000),
)
def test_within_the_band_size_changes_nothing_after_the_first_look(members: list[int], first: int) -> None:
    standing = stand(Situation(first, asks("auto")), before=None, settings=SETTINGS)
    standings = set()
    for count in members:
        standing = stand(Situation(count, asks("auto")), before=standing, settings=SETTINGS)
        standings.add(standing)

    assert len(standings) <= 1


@given(
    members=st.integers(0, 20_000),
    rate=st.floats(0, 1_000),
    loads=st.lists(st.floats(0, 1), max_size=60),
    busy=st.booleans(),
)
def test_whatever_the_load_does_a_conversation_changes_once_at_the_most(
    members: int, rate: float, loads: list[float], busy: bool
) -> None:
    standing, changes = Standing(large=members > 200, busy=busy), 0
    for load in loads:
        after = stand(Situation(members, asks("auto"), rate, load), before=standing, settings=SETTINGS)
        changes += after.busy != standing.busy
        standing = after

    assert changes <= 1


@given(base=st.floats(0.1, 100), swings=st.lists(st.floats(0.92, 1.08), max_size=60), load=st.floats(0, 1))
def test_a_rate_that_hovers_at_the_edge_changes_it_once_at_the_most(
    base: float, swings: list[float], load: float
) -> None:
    standing, changes = CALM, 0
    for swing in swings:
        after = stand(Situation(100, asks("auto"), base * swing, load), before=standing, settings=SETTINGS)
        changes += after.busy != standing.busy
        standing = after

    assert changes <= 1


def test_the_reason_names_the_figures() -> None:
    def why(situation: Situation, before: Standing | None = None) -> str:
        return decide(situation, before=before, settings=SETTINGS).why

    assert why(Situation(5, asks("auto"))) == "5 members, push_max_members is 200"
    assert why(Situation(5, asks("auto")), CALM) == "5 members, was push, push_max_members is 200 ± 10%"
    assert why(Situation(5, asks("notify")), CALM) == "the conversation's settings say notify"
    assert why(Situation(5, asks("auto"), slow=True)) == "the session does not keep up"
    assert why(Situation(201, asks("auto"), focus=Focus.HERE)) == (
        "201 members, push_max_members is 200; on the screen: gathered for 250 ms"
    )
    assert why(Situation(100, asks("auto"), rate=50.0, focus=Focus.ELSEWHERE)) == (
        "100 members, push_max_members is 200; 50 messages a second, push_max_per_s is 15; not on the screen"
    )


@pytest.mark.parametrize(
    ("members", "own", "focus", "window_s"),
    [
        (10, asks("auto"), Focus.UNSAID, 0.0),
        (10, asks("auto", 500), Focus.UNSAID, 0.5),
        (9_999, asks("push", 500), Focus.UNSAID, 0.5),
        (9_999, asks("push", 0), Focus.UNSAID, 0.0),
        (9_999, asks("auto", 500), Focus.UNSAID, 0.0),  # it says how a push goes, not that it is one
        (10, asks("notify", 500), Focus.UNSAID, 0.0),
        (9_999, asks("auto"), Focus.HERE, 0.25),
        (9_999, asks("auto", 500), Focus.HERE, 0.5),
        (9_999, asks("auto"), Focus.ELSEWHERE, 0.0),
    ],
)
def test_the_window_is_the_conversations_own_or_else_the_services(
    members: int, own: ConversationSettings, focus: Focus, window_s: float
) -> None:
    decision = decide(Situation(members, own, focus=focus), before=None, settings=SETTINGS)

    assert decision.window_s == window_s
    assert ("push_window_ms 500" in decision.why) is (window_s == 0.5 and focus is Focus.UNSAID)


@pytest.mark.parametrize(
    ("stretch", "load", "after"),
    [
        (5.0, 0.5, 5.0),  # as wanted
        (5.0, 0.8, 5.757),  # 1.6 times as much: 15 % up
        (5.0, 0.25, 4.061),  # half as much: 19 % down
        (4.0, 1.0, 8.0),  # full: all of it at once
        (5.0, 0.0, 3.75),  # not down by more than a quarter
        (9.5, 1.0, 10.0),  # notify_interval_max_ms, 2,000, over notify_interval_ms, 200
        (1.05, 0.0, 1.0),
    ],
)
def test_the_rounds_of_large_groups_follow_the_load(stretch: float, load: float, after: float):
    assert next_stretch(stretch, load=load, settings=Delivery()) == pytest.approx(after, abs=0.001)


@pytest.mark.parametrize(
    ("wanted_s", "stretch", "interval"),
    [(0.2, 1.0, 0.2), (0.2, 4.0, 0.8), (0.2, 10.0, 2.0), (0.5, 10.0, 2.0), (3.0, 4.0, 3.0)],
)
def test_an_interval_grows_up_to_the_longest_but_is_never_shorter_than_wanted(
    wanted_s: float, stretch: float, interval: float
):
    assert interval_s(wanted_s, stretch, Delivery()) == pytest.approx(interval)
