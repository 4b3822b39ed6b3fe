"""The worker: what becomes of a job, whatever happens to it on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Absent, Cid, ConversationSettings, Entry, Mode, Notification, Owed, Prefs, Uid
from pushpull.node import offline as module
from pushpull.node.marks import Marks
from pushpull.node.metrics import Metrics
from pushpull.node.offline import Offline
from pushpull.node.webhook import Answer
from pushpull.settings import Delivery, Settings
from pushpull.settings import Offline as OfflineSettings
from pushpull.store.values import Job, Look
from tests.delivery.words import entry
from tests.node.fakes import Clock, head

ROOM = Cid("room")
FAILED = Answer("failed", "the receiver answered 500")


def look(
    *users: str, upto: int = 3, young: int = 0, own: str | None = "all", claimed: bool = False, last: str = ""
) -> Look:
    """`young`: messages above `upto` that do not count yet."""
    return Look(
        head=head(upto + young, settings=ConversationSettings(offline=own)),
        now_ms=0,
        upto=upto,
        newest=upto,
        claimed=claimed,
        absent=[Absent(Uid(user), 1, False, False, Prefs()) for user in users],
        last_at=0,
        last_uid=Uid(last),
    )


class FakeStore:
    """Jobs, absences and the log of a store, in one; what was asked of them is noted in `ended`."""

    def __init__(self) -> None:
        self.jobs = self.absences = self.log = self
        self.due: list[Job] = []
        self.looks: dict[Cid, list[Look | None]] = {}
        self.open: Notification | None = None
        self.ended: list[tuple[Any, ...]] = []
        self.kept = True
        self.entries: dict[int, Entry] = {}
        self.takes: list[int] = []
        self.marked: list[Cid] = []
        self.away = False

    async def take(self, worker: str, *, most: int) -> list[Job]:
        self.takes.append(most)
        taken, self.due = self.due[:most], self.due[most:]
        return taken

    async def keep(self, worker: str, job: Job) -> bool:
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("redis cannot be reached")
        return self.kept

    async def mark(self, cids: Sequence[Cid], *, delay_s: float) -> list[float | PushpullError]:
        self.marked += cids
        return [delay_s] * len(cids)

    async def finish(self, jobs: Sequence[Job]) -> None:
        self.ended.append(("done", *(job.cid for job in jobs)))

    async def retry(self, job: Job, *, delay_s: float, tries: int) -> None:
        self.ended.append(("retry", job.cid, delay_s, tries))

    async def bury(self, job: Job, why: str, *, tries: int) -> None:
        self.ended.append(("dead", job.cid, why, tries))

    async def look(self, cids: Sequence[Cid], *, young_s: float) -> list[Look | None]:
        assert young_s == 15, "half of the delay"
        return [self.looks[cid].pop(0) for cid in cids]

    async def look_on(self, cid: Cid, before: Look) -> Look | None:
        return self.looks[cid].pop(0)

    async def claim(self, cid: Cid, event: str, seen: Look, users: Sequence[Absent]) -> Notification | None:
        if self.open is None and users:
            owed = tuple(Owed(user.uid, user.unread, user.mentioned) for user in users)
            self.open = Notification(id=event, cid=cid, upto=seen.upto, newest=seen.newest, made_ms=0, users=owed)
        return self.open

    async def claimed(self, cid: Cid) -> Notification | None:
        return self.open

    async def settle(self, cid: Cid, event: str = "", *, given_up: bool = False) -> int:
        assert given_up or (self.open is not None and self.open.id == event)
        self.open = None
        return 1

    async def entry(self, cid: Cid, seq: int) -> Entry | None:
        return self.entries.get(seq)


class FakeWebhook:
    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.told: list[list[str]] = []
        self.events: list[str] = []
        self.bodies: list[bytes] = []
        self.hold: asyncio.Event | None = None

    async def post(self, event: str, body: bytes) -> Answer:
        self.events.append(event)
        self.bodies.append(body)
        if self.hold is not None:
            await self.hold.wait()
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else Answer("delivered")

    async def aclose(self) -> None: ...


class Bench:
    def __init__(self, **offline: Any) -> None:
        self.store, self.webhook, self.metrics = FakeStore(), FakeWebhook(), Metrics()
        self.marks = Marks(self.store, self.metrics, delay_s=30)
        store: Any = self.store
        self.worker = Offline(
            store,
            self.webhook,
            self.marks,
            self.metrics,
            settings=Settings(offline=OfflineSettings(**offline), delivery=Delivery(inline_max_bytes=10)),
            worker="w",
            mode_of=lambda state, cid: Mode.PUSH,
        )

    def put(self, *looks: Look | None, cid: Cid = ROOM, tries: int = 0, taken: int = 1) -> None:
        # Jobs that were made in the same millisecond, each in another shard, have the same id.
        self.store.due.append(Job(id="1-0", cid=cid, tries=tries, taken=taken))
        self.store.looks[cid] = list(looks)

    async def work(self) -> None:
        """One round, and all that it set off."""
        await self.worker.round()
        while self.worker._held:
            await asyncio.sleep(0)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(module.random, "random", lambda: 0.0)
    bench = Bench()
    yield bench
    await bench.worker.stop()


async def test_jobs_in_which_nobody_is_behind_end_together(bench: Bench) -> None:
    bench.put(look(), cid=Cid("a"))
    bench.put(None, cid=Cid("b"))
    bench.put(look("bob", own="none"), cid=Cid("c"))
    await bench.work()
    assert bench.store.ended == [("done", "a", "b", "c")]
    assert bench.webhook.events == []


async def test_batches_reach_over_looks_and_each_is_delivered_before_the_next(bench: Bench) -> None:
    bench.worker._settings = Settings(offline=OfflineSettings(batch=2))
    bench.put(look("a", "b", "c", last="c"), look(last="x"), look("d", "e"))
    await bench.work()
    assert [body.count(b'"user"') for body in bench.webhook.bodies] == [2, 2, 1]
    assert len(set(bench.webhook.events)) == 3
    assert bench.store.ended == [("done", ROOM)]
    assert bench.metrics.offline_users.value == 5


async def test_what_another_worker_left_goes_first_and_under_its_own_id(bench: Bench) -> None:
    left = Notification(id="left", cid=ROOM, upto=2, newest=0, made_ms=0, users=(Owed(Uid("a"), 1, False),))
    bench.store.open = left
    bench.put(look("b", claimed=True))
    await bench.work()
    assert bench.webhook.events[0] == "left"
    assert len(bench.webhook.events) == 2
    assert b'"user":"b"' in bench.webhook.bodies[1]


async def test_a_claim_of_which_nobody_is_left_is_settled_without_a_call(bench: Bench) -> None:
    bench.store.open = Notification(id="left", cid=ROOM, upto=2, newest=0, made_ms=0, users=())
    bench.put(look(claimed=True))
    await bench.work()
    assert bench.webhook.events == []
    assert bench.store.open is None
    assert bench.store.ended == [("done", ROOM)]


async def test_a_claim_that_another_made_in_between_is_sent_and_then_ones_own(bench: Bench) -> None:
    bench.put(look("b"))
    other = Notification(id="other", cid=ROOM, upto=2, newest=0, made_ms=0, users=(Owed(Uid("a"), 1, False),))
    bench.store.open = other
    await bench.work()
    assert bench.webhook.events[0] == "other"
    assert [b'"user":"b"' in body for body in bench.webhook.bodies] == [False, True]


async def test_a_job_that_went_to_another_is_let_go_of(bench: Bench) -> None:
    bench.store.kept = False
    bench.put(look("bob"))
    await bench.work()
    assert (bench.webhook.events, bench.store.ended) == ([], [])
    assert bench.store.marked == [ROOM], "the other may have ended it before the claim: it is looked at once more"


async def test_what_is_too_young_for_a_look_is_there_for_the_next(bench: Bench) -> None:
    bench.put(look(young=1), cid=Cid("a"))
    bench.put(look(young=0), cid=Cid("b"))
    await bench.work()
    assert bench.store.marked == ["a"]
    assert bench.store.ended == [("done", "a", "b")]


async def test_jobs_of_several_shards_with_one_id_are_several(bench: Bench) -> None:
    bench.store.claim = lambda cid, event, seen, users: FakeStore().claim(cid, event, seen, users)  # type: ignore[method-assign]
    bench.store.settle = lambda cid, event="", given_up=False: asyncio.sleep(0)  # type: ignore[assignment,method-assign]
    for cid in ("a", "b"):
        bench.put(look("bob"), cid=Cid(cid))
    await bench.work()
    assert sorted(bench.store.ended) == [("done", "a"), ("done", "b")]


async def test_a_failed_call_is_tried_later_and_its_claim_stays(bench: Bench) -> None:
    bench.webhook.answers = [FAILED]
    bench.put(look("bob"), tries=2)
    await bench.work()
    assert bench.store.ended == [("retry", ROOM, 4.0, 3)]
    assert bench.store.open is not None


async def test_a_failure_after_some_were_told_is_the_first_in_a_row(bench: Bench) -> None:
    bench.worker._settings = Settings(offline=OfflineSettings(batch=1))
    bench.webhook.answers = [Answer("delivered"), FAILED]
    bench.put(look("a", "b"), tries=9)
    await bench.work()
    assert bench.store.ended == [("retry", ROOM, 1.0, 1)]


async def test_the_last_try_gives_the_job_up_and_its_users_count_as_not_told(bench: Bench) -> None:
    bench.webhook.answers = [FAILED]
    bench.put(look("bob"), tries=9)
    await bench.work()
    assert bench.store.ended == [("dead", ROOM, "the receiver answered 500", 10)]
    assert bench.store.open is None


async def test_a_job_over_which_workers_end_is_given_up_unseen(bench: Bench) -> None:
    bench.put(look("bob"), taken=11)
    await bench.work()
    assert bench.store.ended == [("dead", ROOM, "workers ended over it", 10)]
    assert bench.webhook.events == []


async def test_where_redis_is_away_the_job_is_let_lie(bench: Bench) -> None:
    bench.store.away = True
    bench.put(look("bob"))
    await bench.work()
    assert bench.store.ended == []


async def test_a_receiver_that_is_gone_stops_the_work_and_the_marks(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.webhook.answers = [Answer("gone", "the receiver answered 410")] * 2
    bench.put(look("bob"), cid=Cid("a"))
    bench.put(look("bob"), cid=Cid("b"))
    bench.store.claim = FakeStore().claim  # type: ignore[method-assign]  # a claim for each
    await bench.work()
    assert sorted(bench.store.ended) == [("retry", "a", 30.0, 0), ("retry", "b", 30.0, 0)]
    assert bench.marks.stopped
    bench.put(look("bob"))
    await bench.work()
    assert len(bench.store.due) == 1
    assert len([record for record in caplog.records if "410" in record.getMessage()]) == 1


async def test_a_pause_that_the_receiver_asks_for_holds_for_all_jobs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    bench.webhook.answers = [Answer("failed", "the receiver answered 429", 20.0)]
    bench.put(look("bob"))
    await bench.work()
    assert bench.store.ended == [("retry", ROOM, 20.0, 1)]
    bench.put(look("bob"), cid=Cid("other"))
    clock.now += 19.9
    await bench.work()
    assert len(bench.webhook.events) == 1
    clock.now += 0.1
    bench.store.open = None
    await bench.work()
    assert len(bench.webhook.events) == 2


@pytest.mark.parametrize(
    ("answer", "wait_s"), [(Answer("failed", "429", 20.0), 20.0), (Answer("gone", "the receiver answered 410"), 30.0)]
)
async def test_what_is_under_way_elsewhere_pauses_and_ends_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: Answer, wait_s: float
) -> None:
    monkeypatch.setattr(module, "time", Clock())
    bench.worker._settings = Settings(offline=OfflineSettings(batch=1))
    opens: dict[Cid, FakeStore] = {Cid("a"): FakeStore(), Cid("b"): FakeStore()}
    bench.store.claim = lambda cid, event, seen, users: opens[cid].claim(cid, event, seen, users)  # type: ignore[method-assign]
    bench.store.settle = lambda cid, event="", given_up=False: opens[cid].settle(cid, event)  # type: ignore[method-assign]
    bench.webhook.answers = [answer, Answer("delivered")]
    bench.put(look("bob"), cid=Cid("b"))
    bench.put(look("bob", "carol"), cid=Cid("a"), tries=4)
    await bench.work()
    assert len(bench.webhook.events) == 2, "nothing for carol"
    assert ("retry", "a", wait_s, 0) in bench.store.ended


async def test_a_shorter_pause_does_not_end_a_longer_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    bench.store.claim = lambda cid, event, seen, users: FakeStore().claim(cid, event, seen, users)  # type: ignore[method-assign]
    bench.webhook.answers = [Answer("failed", "429", 20.0), Answer("failed", "429", 1.0)]
    bench.put(look("bob"), cid=Cid("a"))
    bench.put(look("bob"), cid=Cid("b"))
    await bench.work()
    takes = len(bench.store.takes)
    clock.now += 2
    await bench.work()
    assert len(bench.store.takes) == takes
    clock.now += 18
    await bench.work()
    assert len(bench.store.takes) == takes + 1


async def test_an_outage_is_one_line_and_its_end_another(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.webhook.answers = [FAILED, FAILED]
    for n in range(3):
        bench.store.open = None
        bench.put(look("bob"), cid=Cid(f"c{n}"))
        await bench.work()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "offline.webhook_url: the receiver answered 500; notifications wait and are tried again",
        "offline.webhook_url: notifications are taken again",
    ]


async def test_the_newest_message_comes_along_where_it_is_small_and_still_there(bench: Bench) -> None:
    bench.store.entries = {3: entry(3, body=b'"small"'), 4: entry(4, body=b'"too large for it"')}
    for upto in (3, 4, 5, 0):
        bench.store.open = None
        bench.put(look("bob", upto=upto), cid=Cid(f"c{upto}"))
        await bench.work()
    assert [b'"item"' in body for body in bench.webhook.bodies] == [True, False, False, False]


async def test_what_is_under_way_is_bounded_and_waited_for_at_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    bench.webhook.hold = asyncio.Event()
    bench.store.claim = lambda cid, event, seen, users: FakeStore().claim(cid, event, seen, users)  # type: ignore[method-assign]
    bench.store.settle = lambda cid, event="", given_up=False: asyncio.sleep(0)  # type: ignore[assignment,method-assign]
    for n in range(3):
        bench.put(look("bob"), cid=Cid(f"c{n}"))
    await bench.worker.round()
    await bench.worker.round()
    assert (len(bench.store.due), bench.store.takes) == (1, [2])
    ending = asyncio.ensure_future(bench.worker.finish())
    await asyncio.sleep(0)
    assert not ending.done()
    bench.webhook.hold.set()
    await ending
    await bench.worker.round()
    assert len(bench.store.due) == 1, "it takes no more"
    assert sorted(bench.store.ended) == [("done", "c0"), ("done", "c1")]
