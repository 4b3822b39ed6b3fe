"""Which conversations have news that somebody may have to be told of: due, being worked on, given up.

A conversation is due once, whatever the number of messages. When its time has come it becomes a job in a stream that
the workers of all nodes share as a consumer group: whoever takes a job has it until it says that it is done, must be
tried again, or is given up; one that is silent for too long loses it to another.

Shards spread the conversations over the slots of a cluster. Bounded: one entry for each conversation with news, at most
MOST_QUEUED jobs (what else is due waits), MOST_DEAD dead letters (the oldest go), a shard each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from pushpull.errors import PushpullError
from pushpull.model import Cid
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Call, Reply, Script, Wire
from pushpull.store.values import DeadLetter, Job, JobCounts

SHARDS: Final = 4
"""The same on all nodes, and for good: a conversation is found in its shard."""

GROUP: Final = "offline"
MOST_QUEUED: Final = 10_000
MOST_DEAD: Final = 10_000
MOST_LETTERS: Final = 1_000
"""Dead letters of a shard that are looked through for those of one conversation."""
LONG_GONE_MS: Final = 3_600_000
"""A worker without a job and a word for so long is no node any more."""

_MARK: Final = Script.load("mark_due", "basics")
_TAKE: Final = Script.load("take_jobs", "basics")
_KEEP: Final = Script.load("keep_job")
_FINISH: Final = Script.load("finish_jobs")
_RETRY: Final = Script.load("retry_job", "basics")
_BURY: Final = Script.load("bury_job", "basics")
_REQUEUE: Final = Script.load("requeue_dead", "basics")
_FORGET: Final = Script.load("forget_workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsOf:
    """The offline notifications of one conversation: when it is due, whether it has a job, failed tries, those given
    up."""

    due_at_ms: int | None
    job: bool
    tries: int
    letters: list[DeadLetter]


def shard_of(cid: Cid) -> int:
    return crc32(cid.encode()) % SHARDS


class Jobs:
    """What is due and who works on it. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, *, idle_s: float) -> None:
        """`idle_s`: after so long without a word from its worker a job goes to another."""
        self._wire = wire
        self._keys = keys
        self._idle_ms = int(idle_s * 1000)

    def _names(self, shard: int, *parts: str) -> list[str]:
        return [self._keys.jobs(shard, part) for part in parts]

    async def mark(self, cids: Sequence[Cid], *, delay_s: float) -> list[float | PushpullError]:
        """Make each of `cids` due `delay_s` from now, unless it is already.

        Returns for each the seconds until it is, or why it is not marked: a shard may be away. Nothing brings that
        time forward: news before it need not be marked again. But one an hour further off than the delay was not meant.
        """
        groups: dict[int, list[int]] = {}
        for i, cid in enumerate(cids):
            groups.setdefault(shard_of(cid), []).append(i)
        delay_ms = int(delay_s * 1000)
        calls = [
            Call(_MARK, self._names(shard, "due"), [delay_ms, *(cids[i] for i in places)])
            for shard, places in groups.items()
        ]
        left: dict[int, float | PushpullError] = {}
        replies = await self._wire.run_many(calls, again=True)
        for places, reply in zip(groups.values(), replies, strict=True):
            if isinstance(reply, PushpullError):
                left.update(dict.fromkeys(places, reply))
            else:
                left.update(zip(places, (ms / 1000 for ms in reply), strict=True))
        return [left[i] for i in range(len(cids))]

    async def take(self, worker: str, *, most: int) -> list[Job]:
        """About `most` jobs for `worker`: those another has let lie before new ones.

        Those of the shards that answer; StoreUnavailable where none does.
        """
        each = -(-most // SHARDS)
        calls = [
            Call(
                _TAKE,
                self._names(shard, "due", "jobs", "queued", "tries"),
                [GROUP, worker, each, self._idle_ms, MOST_QUEUED],
            )
            for shard in range(SHARDS)
        ]
        # Not again: what a lost call took is let lie, and taken later.
        replies = await self._wire.run_many(calls)
        answered = [reply for reply in replies if not isinstance(reply, PushpullError)]
        if not answered:
            raise _first_problem(replies)
        return [
            Job(id=raw[0].decode(), cid=Cid(raw[1].decode()), tries=raw[2], taken=raw[3])
            for reply in answered
            for raw in reply
        ]

    async def keep(self, worker: str, job: Job) -> bool:
        """Say that `worker` is still on it; False: another has it, or it has ended."""
        names = self._names(shard_of(job.cid), "jobs")
        return bool(await self._wire.run(Call(_KEEP, names, [GROUP, worker, job.id]), again=True))

    async def finish(self, jobs: Sequence[Job]) -> None:
        """They are done."""
        groups: dict[int, list[Arg]] = {}
        for job in jobs:
            groups.setdefault(shard_of(job.cid), []).extend((job.id, job.cid))
        calls = [
            Call(_FINISH, self._names(shard, "jobs", "queued", "tries"), [GROUP, *args])
            for shard, args in groups.items()
        ]
        for reply in await self._wire.run_many(calls, again=True):
            _answered(reply)

    async def retry(self, job: Job, *, delay_s: float, tries: int) -> None:
        """Make its conversation due again, `delay_s` from now at the earliest; `tries`: failed ones in a row so far."""
        names = self._names(shard_of(job.cid), "due", "jobs", "queued", "tries")
        args: list[Arg] = [GROUP, job.id, job.cid, int(delay_s * 1000), tries]
        await self._wire.run(Call(_RETRY, names, args), again=True)

    async def bury(self, job: Job, why: str, *, tries: int) -> None:
        """Give it up after so many tries; a dead letter says why."""
        names = self._names(shard_of(job.cid), "jobs", "queued", "tries", "dead")
        await self._wire.run(Call(_BURY, names, [GROUP, job.id, job.cid, why, tries, MOST_DEAD]), again=True)

    async def counts(self) -> JobCounts:
        """How many conversations are due later, wait for a worker, are being worked on, and are given up."""
        commands = [
            (command, key)
            for shard in range(SHARDS)
            for command, key in zip(("ZCARD", "XLEN", "XLEN"), self._names(shard, "due", "jobs", "dead"), strict=True)
        ]
        found = await self._wire.commands(commands, again=True)
        due, queued, dead = sum(found[0::3]), sum(found[1::3]), sum(found[2::3])
        # A shard in which nothing was ever due has no group yet.
        asked = [("XPENDING", self._keys.jobs(shard, "jobs"), GROUP) for shard in range(SHARDS) if found[3 * shard + 1]]
        pending = sum(reply[0] for reply in await self._wire.commands(asked, again=True))
        return JobCounts(due=due, waiting=max(0, queued - pending), pending=pending, dead=dead)

    async def oldest_ms(self) -> int | None:
        """Since when (ms since 1970, by Redis' clock) somebody has been owed a look the longest: of the conversations
        whose time has come and that have no job yet, and of those with one. None: nobody is."""
        found = await self._wire.commands(
            [
                command
                for shard in range(SHARDS)
                for due, jobs in [self._names(shard, "due", "jobs")]
                for command in (("ZRANGE", due, 0, 0, "WITHSCORES"), ("XRANGE", jobs, "-", "+", "COUNT", 1))
            ],
            again=True,
        )
        since = [int(float(due[1])) for due in found[0::2] if due]
        since += [int(jobs[0][0].partition(b"-")[0]) for jobs in found[1::2] if jobs]
        return min(since, default=None)

    async def of(self, cid: Cid) -> JobsOf:
        """What there is of one conversation; letters among the MOST_LETTERS newest, the newest first."""
        due, queued, tries, dead = self._names(shard_of(cid), "due", "queued", "tries", "dead")
        due_at, has_job, failed, letters = await self._wire.commands(
            [
                ("ZSCORE", due, cid),
                ("SISMEMBER", queued, cid),
                ("HGET", tries, cid),
                ("XREVRANGE", dead, "+", "-", "COUNT", MOST_LETTERS),
            ],
            again=True,
        )
        return JobsOf(
            due_at_ms=None if due_at is None else int(float(due_at)),
            job=bool(has_job),
            tries=int(failed or 0),
            letters=[letter for raw in letters if (letter := _dead_letter(shard_of(cid), raw)).cid == cid],
        )

    async def dead(self, *, limit: int) -> list[DeadLetter]:
        """Dead letters, the newest first."""
        commands: list[tuple[Arg, ...]] = [
            ("XREVRANGE", self._keys.jobs(shard, "dead"), "+", "-", "COUNT", limit) for shard in range(SHARDS)
        ]
        replies = await self._wire.commands(commands, again=True)
        letters = [_dead_letter(shard, raw) for shard, reply in enumerate(replies) for raw in reply]
        return sorted(letters, key=lambda letter: -letter.at_ms)[:limit]

    async def requeue(self, ids: Sequence[str] | None = None) -> int:
        """Give these dead letters (None: all) another chance; how many there were. Unknown ids are passed over."""
        total = 0
        for shard in range(SHARDS):
            mine = None if ids is None else [each.partition(".")[2] for each in ids if each.startswith(f"{shard}.")]
            if mine is None or mine:
                call = Call(_REQUEUE, self._names(shard, "due", "dead"), [MOST_DEAD, *(mine or ())])
                total += int(await self._wire.run(call))
        return total

    async def forget_workers(self) -> int:
        """Take workers that are no more off the list."""
        calls = [Call(_FORGET, self._names(shard, "jobs"), [GROUP, LONG_GONE_MS]) for shard in range(SHARDS)]
        return sum(map(_answered, await self._wire.run_many(calls, again=True)))


async def forget_due(wire: Wire, keys: Keys, cid: Cid) -> None:
    """`cid` is no more: nobody is to look who has not read it. A job under way finds that out by itself."""
    shard = shard_of(cid)
    await wire.commands([("ZREM", keys.jobs(shard, "due"), cid), ("HDEL", keys.jobs(shard, "tries"), cid)], again=True)


def _first_problem(replies: Sequence[Reply]) -> PushpullError:
    return next(reply for reply in replies if isinstance(reply, PushpullError))


def _answered(reply: Reply) -> Reply:
    if isinstance(reply, PushpullError):
        raise reply
    return reply


def _dead_letter(shard: int, raw: Sequence[Any]) -> DeadLetter:
    fields = dict(zip(raw[1][::2], raw[1][1::2], strict=True))
    return DeadLetter(
        id=f"{shard}.{raw[0].decode()}",
        cid=Cid(fields[b"cid"].decode()),
        why=fields[b"why"].decode(),
        tries=int(fields[b"tries"]),
        at_ms=int(fields[b"at"]),
    )
