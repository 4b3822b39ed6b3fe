"""The worker that deletes users: takes one that is asked for and takes it out of everything, in small steps.

Theory of operation. Whoever is deleted is first shut out: its sessions end, and until the end of the deletion no token
of its is good. Then all conversations are looked through for those that have to do with it, and one after the other it
is taken out of them. Each of these may be done twice, and what is still to do stands in Redis; so a node that dies
here is followed by another when its lease has ended, and only what it was in the middle of is begun again.

Bounded: one user a node at a time; after each step the worker rests for REST times as long as the step took, so that
Redis gives it no more than a quarter of its time however slow it is.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import Final

from pushpull.errors import PushpullError
from pushpull.model import Cid
from pushpull.node.background import Background
from pushpull.node.metrics import Metrics
from pushpull.store.deletions import LEASE_S, Deletion, Lease
from pushpull.store.store import Store

log = logging.getLogger(__name__)

ROUND_S: Final = 1.0
JITTER: Final = 0.5
REST: Final = 3.0
REST_MAX_S: Final = 1.0
RENEW_S: Final = LEASE_S / 3
LATER_S: Final = 5.0
TRIES_MAX: Final = 50
"""Failures in a row, four minutes of them and more, before it is given up; asked for again it goes on."""
CLOSED_S: Final = 1.0
"""How long the nodes have for ending the sessions and writing down that they did; one that does not hear of it finds
them revoked."""
NEVER: Final = 100_000_000_000
"""s since 1970: no token was issued after it."""


class LeaseLost(Exception):
    """Another works on it by now."""


class Deletions:
    """One node's worker."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def start(self, background: Background) -> None:
        background.repeat(self.round, every_s=ROUND_S, jitter=JITTER, name="deletions of users")

    async def round(self) -> None:
        """Delete one user, if there is one to be deleted. Raises StoreUnavailable where that cannot be asked."""
        lease = await self._store.deletions.take()
        if lease is None:
            return
        try:
            await _Work(self._store, lease, self._metrics).run()
        except LeaseLost:
            log.info("the deletion of a user is another node's now")


class _Work:
    """On one deletion, while its lease is this node's."""

    def __init__(self, store: Store, lease: Lease, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._lease = lease
        self._user = lease.user
        self._renewed = self._rested = time.monotonic()

    async def run(self) -> None:
        deletion = await self._store.deletions.get(self._user)
        if deletion.state not in ("waiting", "running"):
            await self._store.deletions.end(self._lease)
            return
        try:
            await self._delete(deletion)
        except (LeaseLost, asyncio.CancelledError):
            raise
        except Exception as problem:
            await self._put_off(deletion, problem)

    async def _delete(self, deletion: Deletion) -> None:
        said = {} if deletion.started_ms else {"started": int(time.time() * 1000)}
        await self._store.deletions.note(self._user, state="running", **said)
        await self._shut_out()
        if deletion.total is None:
            await self._find()
        while (cid := await self._store.deletions.next(self._user)) is not None:
            await self._erase(cid, redact=deletion.messages == "redact")
            await self._store.deletions.done(self._user, cid)
            await self._store.deletions.note(self._user, error="", tries="")
        await self._store.deletions.forget(self._user)
        await self._store.presence.revoke_before(self._user, int(time.time()) + 1)
        await self._store.deletions.finish(self._user, "done")
        await self._store.deletions.end(self._lease)
        self._metrics.deletions_ended.labels("done").inc()
        log.info("a user was deleted")

    async def _shut_out(self) -> None:
        presence = self._store.presence
        open_now = await presence.sessions(self._user)
        await presence.revoke_before(self._user, NEVER)
        await presence.kick(self._user)
        if open_now:
            await asyncio.sleep(CLOSED_S)

    async def _find(self) -> None:
        """Whatever names the user, whether its own list does or not."""
        store, after = self._store, None
        while True:
            listed, after = await store.conversations.listed(self._user, after=after)
            await store.deletions.find(self._user, listed)
            if after is None:
                break
        async for cids in store.erasure.every():
            await store.deletions.find(self._user, await store.erasure.naming(self._user, cids))
            await self._step()
        await store.deletions.note(self._user, total=await store.deletions.found(self._user))

    async def _erase(self, cid: Cid, *, redact: bool) -> None:
        erasure, user = self._store.erasure, self._user
        async for _ in erasure.forget(cid, user):
            await self._step()
        if redact:
            async for entries in erasure.redact(cid, user):
                if entries:
                    await self._store.deletions.redacted(user, entries)
                await self._step()
            async for _ in erasure.rewrite(cid, user, token=uuid.uuid4().hex):
                await self._step()
        await erasure.forget_row(cid, user)

    async def _step(self) -> None:
        """A step is done: keep the lease, and rest. Raises LeaseLost."""
        now = time.monotonic()
        if now - self._renewed > RENEW_S:
            await self._renew(None)
        await asyncio.sleep(min(REST_MAX_S, REST * (now - self._rested)))
        self._rested = time.monotonic()

    async def _renew(self, for_s: float | None) -> None:
        lease = await self._store.deletions.keep(self._lease, for_s=for_s)
        if lease is None:
            raise LeaseLost
        self._lease, self._renewed = lease, time.monotonic()

    async def _put_off(self, deletion: Deletion, problem: Exception) -> None:
        """Say what is wrong and try again later, or give up. Where Redis is away nothing is said: the lease ends."""
        why = problem.message if isinstance(problem, PushpullError) else type(problem).__name__
        log.warning("the deletion of a user does not get on: %s", why, exc_info=not isinstance(problem, PushpullError))
        deletions, user = self._store.deletions, self._user
        tries = (await deletions.get(user)).tries + 1
        if tries >= TRIES_MAX:
            await deletions.finish(user, "failed", error=why)
            await deletions.end(self._lease)
            self._metrics.deletions_ended.labels("failed").inc()
            return
        await deletions.note(user, tries=tries, error=why)
        await self._renew(LATER_S)
