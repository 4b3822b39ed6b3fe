"""The worker of offline notifications: takes what is due, decides who is told, hands it to the webhook.

Theory of operation. A job is one conversation whose time has come. The worker looks at the members who are behind, a
chunk at a time; most jobs end there, as everybody has caught up, and end together. Those who are to be told are
claimed a batch at a time: from then on they are told, under one event id, by whoever works on the job. A claim is
delivered before the next one is made. Every way a job can end is one call of the store: done, due again later, given
up. A worker that dies says nothing; its job goes to another, who finds the open claim and sends it under the same id.

Bounded: about AT_ONCE jobs of a node; a claim holds `offline.batch` users. What is due beyond that waits in Redis.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.delivery.offline import LONGEST_PAUSE_S, body_of, is_notified, level_of, retry_s
from pushpull.errors import NoSuchConversation, PushpullError
from pushpull.model import Absent, Cid, Entry, Head, Mode, Notification
from pushpull.node.background import Background
from pushpull.node.marks import Marks
from pushpull.node.metrics import Metrics
from pushpull.node.webhook import Answer, Webhook
from pushpull.settings import Settings
from pushpull.store.store import Store
from pushpull.store.values import Job, Look

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
YOUNG: Final = 0.5
"""The share of the delay before which a message does not count yet. A whole delay would make those wait twice that were
stored a moment after their mark, or on a server whose clock is ahead."""

ModeOf = Callable[[Head, Cid], Mode]


class PutOff(Exception):
    """The webhook did not take a notification."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Resting(Exception):
    """Nothing is to be sent for `left_s` seconds: the receiver asked for a pause, or is gone."""

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


class Offline:
    """One node's worker. `round` is called again and again; `mode_of` says how a conversation is delivered."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook,
        marks: Marks,
        metrics: Metrics,
        *,
        settings: Settings,
        worker: str,
        mode_of: ModeOf,
    ) -> None:
        self._store = store
        self._webhook = webhook
        self._marks = marks
        self._metrics = metrics
        self._settings = settings
        self._worker = worker
        self._mode_of = mode_of
        self._running = Background()
        # By conversation, which has one job at a time: the ids of jobs are those of their shard alone.
        self._held: dict[Cid, asyncio.Task[None]] = {}
        self._told: set[Cid] = set()  # jobs under way in which somebody was told
        self._paused_until = 0.0
        self._ending = False
        self._failing = False

    async def round(self) -> None:
        """Take what is due until there is no more of it, or enough is under way."""
        while not (self._ending or self._marks.stopped) and time.monotonic() >= self._paused_until:
            room = AT_ONCE - len(self._held)
            jobs = await self._store.jobs.take(self._worker, most=room) if room > 0 else []
            if not jobs:
                return
            await self._begin([job for job in jobs if job.cid not in self._held])

    async def finish(self) -> None:
        """Take no more, and wait for what is under way."""
        self._ending = True
        if self._held:
            await asyncio.wait(self._held.values())

    async def stop(self) -> None:
        """End what is under way."""
        await self._running.stop()

    async def _begin(self, jobs: Sequence[Job]) -> None:
        """Look at all of them together: end those in which nobody is to be told, go on with each other by itself."""
        ended: list[Job] = []
        young_s = self._settings.offline.delay_s * YOUNG
        looks = await self._store.absences.look([job.cid for job in jobs], young_s=young_s)
        await self._mark_young(jobs, looks)
        for job, look in zip(jobs, looks, strict=True):
            if isinstance(look, PushpullError):
                log.warning("offline job: %s", look.message)  # it is let lie, and taken again
            elif look is None or not (look.claimed or look.more or self._told_now(job.cid, look)):
                ended.append(job)
            else:
                self._held[job.cid] = self._running.spawn(self._work(job, look), "offline job")
        if ended:
            await self._store.jobs.finish(ended)
            self._metrics.offline_jobs.labels("nobody").inc(len(ended))

    async def _mark_young(self, jobs: Sequence[Job], looks: Sequence[Look | PushpullError | None]) -> None:
        """What is too young for this look is there for the next: before the job ends, as a node may die here."""
        seen = zip(jobs, looks, strict=True)
        young = [job.cid for job, look in seen if isinstance(look, Look) and look.head.seq > look.upto]
        if young:
            await self._marks.mark(young)

    def _told_now(self, cid: Cid, look: Look) -> list[Absent]:
        level = level_of(look.head.settings.offline, self._mode_of(look.head, cid))
        return [who for who in look.absent if is_notified(who, level, now_ms=look.now_ms)]

    async def _work(self, job: Job, look: Look) -> None:
        try:
            await self._notify(job, look)
        except PushpullError as problem:
            log.warning("offline job: %s", problem.message)  # it is let lie, and taken again
        finally:
            del self._held[job.cid]
            self._told.discard(job.cid)

    async def _notify(self, job: Job, look: Look) -> None:
        try:
            if job.taken > self._settings.offline.max_deliver:
                await self._bury(job, "workers ended over it", tries=job.taken - 1)
            elif await self._tell_all(job, look):
                await self._store.jobs.finish([job])
                self._metrics.offline_jobs.labels("done").inc()
        except PutOff as put_off:
            await self._put_off(job, put_off.answer)
        except Resting as resting:
            tries = 0 if job.cid in self._told else job.tries
            await self._store.jobs.retry(job, delay_s=resting.left_s, tries=tries)

    async def _tell_all(self, job: Job, first: Look) -> bool:
        """Tell everybody who is to be told; False: another works on it now. Raises PutOff, Resting."""
        if first.claimed and not await self._tell_claimed(job):
            return False
        batch, waiting = self._settings.offline.batch, list[Absent]()
        look: Look | None = first
        while look is not None:
            waiting += self._told_now(job.cid, look)
            while len(waiting) >= batch or (waiting and not look.more):
                if not await self._tell(job, look, waiting[:batch]):
                    return False
                del waiting[:batch]
            look = await self._store.absences.look_on(job.cid, look) if look.more else None
        return True

    async def _tell_claimed(self, job: Job) -> bool:
        notification = await self._store.absences.claimed(job.cid)
        return notification is None or await self._deliver(job, notification)

    async def _tell(self, job: Job, look: Look, users: Sequence[Absent]) -> bool:
        event = f"offline-{uuid.uuid4().hex}"
        while True:
            notification = await self._store.absences.claim(job.cid, event, look, users)
            if notification is None:
                return True
            if not await self._deliver(job, notification):
                return False
            if notification.id == event:
                return True

    async def _deliver(self, job: Job, notification: Notification) -> bool:
        """Hand it over; False: the job is another's now. Raises PutOff where the webhook does not take it, Resting."""
        self._check_rest()
        if not await self._store.jobs.keep(self._worker, job):
            # The other may have ended the job before this was claimed: somebody has to look once more.
            await self._marks.mark([job.cid])
            return False
        if notification.users:
            body = body_of(notification, await self._small(notification))
            began = time.monotonic()
            answer = await self._webhook.post(notification.id, body)
            self._metrics.offline_call_seconds.observe(time.monotonic() - began)
            self._metrics.offline_calls.labels(answer.outcome).inc()
            if answer.outcome != "delivered":
                raise PutOff(answer)
            self._told.add(job.cid)
            self._recovered()
            self._metrics.offline_users.inc(len(notification.users))
        await self._store.absences.settle(job.cid, notification.id)
        return True

    async def _small(self, notification: Notification) -> Entry | None:
        """The newest message, where it is still there and small. Read late: a redacted one is not told."""
        if not notification.newest:
            return None
        try:
            entry = await self._store.log.entry(notification.cid, notification.newest)
        except NoSuchConversation:
            return None
        small = entry is not None and len(entry.body) <= self._settings.delivery.inline_max_bytes
        return entry if small else None

    def _check_rest(self) -> None:
        """Raises Resting: what is under way ends, too, when one call was answered so."""
        if self._marks.stopped:
            raise Resting(self._settings.offline.delay_s)
        left_s = self._paused_until - time.monotonic()
        if left_s > 0:
            raise Resting(left_s)

    async def _put_off(self, job: Job, answer: Answer) -> None:
        if answer.outcome == "gone":
            self._stop()
            await self._store.jobs.retry(job, delay_s=self._settings.offline.delay_s, tries=job.tries)
            return
        # A receiver that takes some is well enough for the rest to be tried soon.
        tries = 1 if job.cid in self._told else job.tries + 1
        if tries >= self._settings.offline.max_deliver:
            await self._bury(job, answer.why, tries=tries)
            return
        if answer.retry_after_s is not None:
            pause_s = min(answer.retry_after_s, LONGEST_PAUSE_S)
            self._paused_until = max(self._paused_until, time.monotonic() + pause_s)
        delay_s = retry_s(tries, asked_s=answer.retry_after_s, spread=random.random())
        self._say_failing(answer)
        await self._store.jobs.retry(job, delay_s=delay_s, tries=tries)
        self._metrics.offline_jobs.labels("retried").inc()

    async def _bury(self, job: Job, why: str, *, tries: int) -> None:
        await self._store.absences.settle(job.cid, given_up=True)
        await self._store.jobs.bury(job, why, tries=tries)
        self._metrics.offline_jobs.labels("dead").inc()
        log.error("offline.webhook_url: %s; a job is given up after %s tries (pushpull offline)", why, tries)

    def _say_failing(self, answer: Answer) -> None:
        """Once, not for every job of an outage."""
        if not self._failing:
            self._failing = True
            log.warning("offline.webhook_url: %s; notifications wait and are tried again", answer.why)

    def _recovered(self) -> None:
        if self._failing:
            self._failing = False
            log.info("offline.webhook_url: notifications are taken again")

    def _stop(self) -> None:
        if not self._marks.stopped:
            self._marks.stopped = True
            self._metrics.offline_stopped.set(1)
            log.error("offline.webhook_url: the receiver is gone (410): nobody is notified until this node restarts")
