"""What happens when something is heard: a bell, an announcement, or what a read of the log found.

Bells and reads go to their feed and come back as a Change; this module carries a change out: fan-out for news, a read
for what is stale, a check of the local users for a change of members, resets where the log diverged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from pushpull.delivery import codes, frames
from pushpull.delivery.shedding import Extra
from pushpull.errors import NoSuchConversation, PushpullError
from pushpull.model import Cid, Mode, Uid, seq_of
from pushpull.node.announcements import Announcements
from pushpull.node.asking import answer
from pushpull.node.feed import Change, Feed
from pushpull.node.parts import Parts
from pushpull.node.peers import Connected
from pushpull.node.policy import read_again
from pushpull.store.passing import ReceiptBell, SignalBell
from pushpull.store.values import Announcement, Bell, ControlSubscribed, Ring, Subscribed

log = logging.getLogger(__name__)

CHECKED_AT_ONCE: Final = 1000
RETRY_S: Final = 0.5
RESET_SLICE: Final = 256
JOINS_AT_ONCE: Final = 32  # of 10,000 users added by one call, who may all be connected here


class Live:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.announcements = Announcements(parts)
        self._joining = asyncio.Semaphore(JOINS_AT_ONCE)

    # ------------------------------------------------------------------------------------------------ heard

    def rung(self, rings: Sequence[Ring]) -> None:
        """Carry out what was heard together, in order; then fan out once what is new in each conversation.

        So messages that were stored together (one sender's, or many senders' under load) travel in one frame.
        """
        if self._parts.spans is not None:
            self._parts.spans.heard(rings)
        news: dict[Feed, None] = {}
        for ring in rings:
            try:
                self._take(ring, news)
            except Exception:
                # One conversation's trouble must not silence the others; the audit comes to it again.
                log.exception("a ring could not be handled")
        for feed in news:
            try:
                self._parts.hub.news(feed)
            except Exception:
                log.exception("news could not be fanned out")

    def _take(self, ring: Ring, news: dict[Feed, None]) -> None:
        match ring:
            case Bell(cid=cid):
                feed = self._parts.feeds.get(cid)
                if feed is None:
                    self._parts.feeds.missed(cid)
                    return
                change = feed.take_bell(ring)
                if change.news:
                    news[feed] = None
                self._carry_out(feed, change)
            case SignalBell():
                self._parts.signals.heard(ring)
            case ReceiptBell():
                self._parts.receipts.heard(ring)
            case Subscribed(cid):
                self._parts.feeds.confirmed(cid)
            case Announcement():
                self.announcements.heard(ring.number)
                self._announced(ring)
            case ControlSubscribed():
                self.announcements.missed()

    def changed(self, feed: Feed, change: Change) -> None:
        """Carry out what a read did to a feed, and fan out what is new."""
        self._carry_out(feed, change)
        if change.news:
            self._parts.hub.news(feed)
        if change.membership:
            self._parts.hub.set_modes(feed)

    def _carry_out(self, feed: Feed, change: Change) -> None:
        """All that a change means beside fan-out."""
        if change.stale and not feed.doubted:  # else it is read once the doubt is over
            self._parts.reader.mark_stale(feed)
        if change.removals:
            self._parts.background.spawn(self.recheck(feed), f"recheck {feed.cid}")
        if change.settings:
            self._tell_updated(feed)
        if change.deleted:
            self._made_again(feed)
        if change.diverged is not None:
            feed.resetting = True
            self._parts.metrics.diverged_logs.inc()
            self._parts.background.spawn(self._reset_all(feed, change), f"reset {feed.cid}")
        if change.mentions and (feed.noticed or feed.away):
            self._ring_mentioned(feed, change.mentions)

    def gone(self, feed: Feed) -> None:
        """The feed's conversation is no more."""
        feed.deleted = True
        for place in feed.places:
            peer = self._parts.peers.get(place.device.session)
            if peer is not None:
                peer.leave(feed.cid, "deleted")
        self._parts.background.spawn(self._parts.feeds.close([feed]), "close feed")

    def _made_again(self, feed: Feed) -> None:
        """The feed's conversation was deleted, and made again before that was heard: its devices find the new one."""
        found = (self._parts.peers.get(place.device.session) for place in feed.places)
        peers = [peer for peer in found if peer is not None]
        self.gone(feed)
        for peer in peers:
            self._parts.background.spawn(self._join(peer, feed.cid), "join")

    def _tell_updated(self, feed: Feed) -> None:
        frame = frames.conversation(feed.cid, "updated")
        for place in feed.places:
            place.connection.write(frame)

    def _ring_mentioned(self, feed: Feed, mentions: frozenset[str]) -> None:
        if "*" in mentions:
            self._parts.hub.notices.mention_all(feed)
            return
        if feed.held:
            feed.mentioned |= mentions
            return
        for place in self._parts.peers.places((Uid(who) for who in mentions), feed.cid):
            owed = place.mode is Mode.NOTIFY and place.window.sent < feed.tail.head
            if owed and not self._parts.hub.relief.sheds(Extra.MENTION):  # else it is told by the round
                self._parts.hub.notices.ring_one(feed, place, mentioned=True)

    # ------------------------------------------------------------------------------------------------ membership

    async def recheck(self, feed: Feed) -> None:
        """Members were removed: let those go who are none any more, then let out what was held for that long.

        What rang meanwhile was not taken: whoever was removed after this check began is found by the next one.
        """
        await self._let_former_members_go(feed)
        feed.doubted = False
        self._parts.reader.mark_stale(feed)
        self._release(feed)

    def _release(self, feed: Feed) -> None:
        mentioned, feed.mentioned = frozenset(feed.mentioned), set()
        if mentioned:
            self._ring_mentioned(feed, mentioned)
        self._parts.hub.release(feed)

    async def _let_former_members_go(self, feed: Feed) -> None:
        users = list({place.device.uid for place in feed.places})
        for first in range(0, len(users), CHECKED_AT_ONCE):
            chunk = users[first : first + CHECKED_AT_ONCE]
            for uid, joined in zip(chunk, await self._joined(feed.cid, chunk), strict=True):
                if joined is None:
                    self._leave(feed.cid, [uid], "left")

    async def _joined(self, cid: Cid, users: list[Uid]) -> list[int | None]:
        """When each joined; asked until Redis answers, for nobody may be served who was removed."""
        while True:
            try:
                return list(await self._parts.store.members.joined(cid, users))
            except NoSuchConversation:
                return [None] * len(users)
            except PushpullError as problem:
                log.warning("members of a conversation cannot be checked yet: %s", problem.message)
                await asyncio.sleep(RETRY_S)

    def _leave(self, cid: Cid, users: Iterable[Uid], change: str) -> None:
        for uid in users:
            for peer in self._parts.peers.of(uid):
                peer.leave(cid, change)

    # ------------------------------------------------------------------------------------------------ announcements

    def _announced(self, said: Announcement) -> None:
        if said.cid is not None and said.kind != "cursors":
            self._announced_of(said.cid, said)
        elif said.kind == "kick":
            self._kick(said)
        elif said.kind == "revoked" and said.ts is not None:
            for uid in said.users:
                self._parts.revocations.forget(uid)
            for peer in self._peers(said.users):
                peer.revoked_before(said.ts)
        elif said.kind == "policy":
            self._parts.background.spawn(read_again(self._parts.policy), "policy")
        elif said.kind in ("here", "gone", "cursors"):
            self._heard_from_abroad(said)

    def _announced_of(self, cid: Cid, said: Announcement) -> None:
        """What concerns a conversation."""
        if said.kind == "joined":
            for peer in self._peers(said.users):
                self._parts.background.spawn(self._join(peer, cid), "join")
        elif said.kind in ("left", "deleted"):
            self._leave(cid, said.users, said.kind)
        elif said.kind == "rewritten" and (feed := self._parts.feeds.get(cid)) is not None:
            feed.let_go()
        elif said.kind == "asked":
            self._parts.background.spawn(answer(self._parts, said), "answer")

    def _heard_from_abroad(self, said: Announcement) -> None:
        for uid in said.users:
            if said.kind == "cursors" and said.cid is not None and said.cursors is not None:
                self._parts.cursor_news.told_here(said.cid, uid, said.cursors)
            elif said.kind == "here" and said.node is not None:
                self._parts.abroad.noted(uid, [said.node])
            elif said.kind == "gone" and said.node is not None:
                self._parts.abroad.gone(uid, said.node)

    def _peers(self, users: Iterable[Uid]) -> Iterable[Connected]:
        for uid in users:
            yield from self._parts.peers.of(uid)

    def _kick(self, said: Announcement) -> None:
        for peer in self._peers(said.users):
            if said.session is None or peer.session.id == said.session:
                if said.replaced:
                    peer.close(codes.REPLACED, codes.REPLACED_BY_ANOTHER)
                else:
                    peer.close(codes.NOT_ALLOWED, codes.KICKED)

    async def _join(self, peer: Connected, cid: Cid) -> None:
        try:
            async with self._joining:
                await peer.join(cid)
        except PushpullError:
            # It missed a conversation: with a new connection it gets the whole list again.
            peer.close(codes.OVERLOADED, "the conversation list cannot be read now")

    # ------------------------------------------------------------------------------------------------ divergence

    async def _reset_all(self, feed: Feed, change: Change) -> None:
        """The log lost its tail, or is another: move the epoch once, tell every device where to go on.

        The feed is held meanwhile: a device must hear `reset` before anything of the log as it is now.
        """
        common = change.diverged
        assert common is not None
        if not change.new_epoch:
            feed.set_epoch(await self._move_epoch(feed, change.epoch))
        reason = "epoch" if change.new_epoch else "diverged"
        for n, place in enumerate(feed.places):
            if place.attached and (change.new_epoch or place.window.sent > seq_of(common)):
                self._parts.hub.reset(feed, place, reason, common)
            elif place.attached:
                self._parts.hub.stay(feed, place)
            if n % RESET_SLICE == RESET_SLICE - 1:
                await asyncio.sleep(0)
        feed.resetting = False
        self._release(feed)

    async def _move_epoch(self, feed: Feed, before: str) -> str:
        """The epoch after the divergence; asked until Redis answers, for nothing can be served before.

        Moved from `before`, the epoch this node stood in: where another node has moved it already, it stays.
        """
        while True:
            try:
                epoch = await self._parts.store.log.move_epoch(feed.cid, before)
            except NoSuchConversation:
                return feed.head.epoch
            except PushpullError as problem:
                log.warning("the epoch of a diverged log cannot be moved yet: %s", problem.message)
                await asyncio.sleep(RETRY_S)
            else:
                log.warning("a log lost its tail: its devices go back to seq %s", feed.tail.head)
                return epoch
