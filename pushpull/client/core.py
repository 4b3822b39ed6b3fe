"""One device without its connection: frames in, frames to send out. No I/O, no clock; `now` in steady seconds.

Theory of operation. `opened` starts a session with what `welcome` says, `receive` takes each frame, `outgoing`
gives what is to be sent at this moment, `next_at` says when to ask again if nothing happens, `closed` ends the
session. What outlives a session: where the device stands (inbox.handed), what it holds (conversations), what it has
to send (outbox). All else is made anew: each conversation continues from the row that the next session lists.

Pulls are limited to PULLS at a time over all conversations, so that a device with thousands of them behind does
not break the service's frame limit, and so that what they bring fits the inbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pushpull.client import events, frames, signals
from pushpull.client.acks import Acks
from pushpull.client.again import Again
from pushpull.client.conversations import Conversations, Told
from pushpull.client.inbox import Inbox
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.client.pulls import Pulls
from pushpull.client.reads import Reads
from pushpull.client.rule import Applied, Duplicate
from pushpull.client.screen import Screen
from pushpull.client.signals import Signals
from pushpull.errors import NoSuchConversation, error_of
from pushpull.model import Mode, seq_of


class Core:
    """The state of one device. `chance` gives uniform numbers in [0, 1)."""

    def __init__(self, inbox: Inbox, outbox: Outbox, *, chance: Callable[[], float]) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.acks = Acks()
        self.pulls = Pulls()
        self.held = Conversations()
        self.expired: list[Outgoing] = []  # cmid_expired: whoever drives this looks their cmids up
        self.user = ""
        self.list_complete = False  # this session has listed every conversation; before that it knows only some
        self._chance = chance
        self._epochs: dict[str, str] = {}  # as last told, over sessions; bounded by the conversations
        self.moved: dict[str, str] = {}  # positions that were stored and not yet persisted by the owner
        self._reads = Reads()
        self._answers: list[dict[str, Any]] = []  # pongs and list pages: at most one per frame received
        self.signals = Signals(self.held)
        self._again = Again()
        self._clock_ahead_ms = 0.0  # the service's clock minus `now`
        self._listed: set[str] = set()
        self.screen = Screen()

    def opened(self, welcome: frames.Welcome, *, now: float) -> None:
        """A session is open. What was queued and not taken is dropped: the service sends it again from `handed`."""
        self.user = welcome.user
        self.screen.opened(welcome.features)
        self._clock_ahead_ms = welcome.time - now * 1000
        self.acks.delay_s, self.acks.max_messages = welcome.ack.delay_ms / 1000, welcome.ack.max
        self._listed.clear()
        self.list_complete = False

    def show(self, cid: str | None, *, active: bool) -> None:
        """`cid` is on the screen now; None: no conversation is."""
        self.screen.show(cid, active=active)
        position = self.held.positions.get(cid) if cid is not None else None
        if position is not None and cid is not None and active:
            position.wake(at_once=not self.screen.known)
            self.pulls.want(cid)

    def closed(self, *, now: float) -> None:
        """The session is over."""
        self.inbox.rewind()
        self.held.unlist()
        self.pulls.clear()
        self._answers.clear()
        self.signals.clear()
        self._again.clear()
        self.outbox.disconnected(now=now)

    def receive(self, frame: frames.Incoming, *, now: float) -> None:
        """Take one frame of the session."""
        handler = _HANDLERS.get(type(frame))
        if handler is not None:
            handler(self, frame, now)

    def outgoing(self, *, now: float) -> list[dict[str, Any]]:
        """The frames to send now, in this order. Acks wait for `ack`, which whoever drives this calls when it may."""
        out, self._answers = self._answers, []
        out += self._again.take(now=now)
        out += self.screen.take()
        out += self._due_reads()
        if self.inbox.roomy:
            out += self.pulls.take(self.held.positions, now=now)
        # Before the first page of the list the service only gathers what we say, and not much of it. And the word that
        # the conversation we wrote for was deleted comes right ahead of the row of another of its name.
        listed = None if self.list_complete else self._listed
        now_ms = int(now * 1000 + self._clock_ahead_ms)
        out += [outgoing.frame() for outgoing in self.outbox.take(now=now, now_ms=now_ms, listed=listed)]
        return out + self.signals.take()

    def _due_reads(self) -> list[dict[str, Any]]:
        """Reads of conversations that this session knows; of the others once the list shows that there are none."""
        due = self._reads.take(lambda cid: self.list_complete or cid in self.held.positions)
        return [self._again.marked({"type": "read", "cid": cid, "seq": seq}) for cid, seq in due.items()]

    def next_at(self, *, now: float) -> float | None:
        """When `outgoing` or `ack` has something to do even if nothing else happens."""
        pulls_at = self.pulls.due_at if self.inbox.roomy else None  # without room, taking wakes whoever drives this
        times = (self.acks.due_at, self.outbox.due_at(now=now), pulls_at, self._again.due_at)
        return min((at for at in times if at is not None), default=None)

    def ack(self, *, now: float, at_once: bool = False) -> dict[str, int]:
        """The acks that are due, {cid: seq}."""
        return self.acks.take(now=now, at_once=at_once)

    def settle(self, *, now: float, acked_by_hand: bool = False) -> None:
        """The owner is done with the last thing it took; with `acked_by_hand` that says nothing about messages."""
        moved = self.inbox.settle(resets_only=acked_by_hand)
        if moved is not None:
            self._stored(*moved, now)

    def mark_stored(self, cid: str, pos: str, *, now: float) -> None:
        """The owner says so itself."""
        if self.inbox.mark_stored(cid, pos):
            self._stored(cid, pos, now)

    def _stored(self, cid: str, pos: str, now: float) -> None:
        self.moved[cid] = pos
        self.acks.stored(cid, seq_of(pos), now=now)

    def read(self, cid: str, seq: int) -> None:
        """The user has read up to `seq`."""
        self._reads.want(cid, seq)

    def _on_sync(self, frame: frames.Sync, now: float) -> None:
        for row in frame.conversations:
            self._adopt(row, now)
        if frame.next is not None:
            self._answers.append(self._again.marked({"type": "sync", "after": frame.next}))
            return
        self.list_complete = True
        for cid in (self.inbox.handed.keys() | self.held.positions.keys()) - self._listed:
            self._leave(cid, "left")

    def _adopt(self, row: frames.Row, now: float) -> None:
        cid = row.cid
        self._listed.add(cid)
        new = cid not in self.inbox.handed
        if new:
            self.inbox.begin(cid, row.start)
            self.moved[cid] = row.start
        reason = self.held.adopt(row, pos=self.inbox.handed[cid])
        self.held.positions[cid].rests = row.mode != Mode.PUSH and self.screen.hides(cid)
        if self._epochs.get(cid, row.epoch) != row.epoch:
            # The log lost its tail while we were away. We may hold nothing of it, and yet have sent some.
            self.outbox.return_above(cid, seq_of(row.start))
        self._epochs[cid] = row.epoch
        self._reads.on_row(cid, read=row.read, head=row.head)
        self.acks.on_row(
            cid, pos_seq=min(seq_of(self.inbox.stored[cid]), seq_of(row.start)), delivered=row.delivered, now=now
        )
        if reason is not None:
            told = self.held.told.get(cid)
            self._reset(cid, told if told and told.pos == row.start else Told(reason, row.start, row.epoch))
        self.pulls.want(cid)

    def _on_messages(self, frame: frames.Messages, now: float) -> None:
        position = self.held.positions.get(frame.cid)
        if position is None:
            return
        self.pulls.heard(frame.cid, answer=frame.after == position.pulling)
        if frame.redelivery:
            self.acks.repeat(frame.cid, at=now)
        if self.inbox.full:
            position.put_off(frame)
        else:
            verdict = position.on_messages(frame)
            if isinstance(verdict, Applied):
                self.inbox.put(frame.cid, [events.message_of(frame.cid, item) for item in verdict.items], verdict.pos)
                self.held.on_items(frame.cid, verdict.items)
            elif isinstance(verdict, Duplicate):
                self.acks.repeat(frame.cid, at=now + self.acks.delay_s)
        self.held.on_head(frame.cid, head=position.head, floor=frame.floor)
        self.pulls.want(frame.cid)

    def _on_notice(self, frame: frames.Notice, now: float) -> None:
        position = self.held.positions.get(frame.cid)
        if position is None:
            return
        position.on_notice(frame.head)
        known = self.held.on_notice(frame)
        if self.screen.hides(frame.cid) and position.behind:
            position.rests = True
            self.inbox.put_event(events.Noticed(frame.cid, known.head, known.unread, mentioned=frame.mentioned))
        self.pulls.want(frame.cid)

    def _on_reset(self, frame: frames.Reset, now: float) -> None:
        position = self.held.positions.get(frame.cid)
        told = Told(frame.reason, frame.pos, frame.epoch)
        if position is None:
            self.held.told[frame.cid] = told  # ahead of its row: the row will refer to it
        elif frame.reason == "trimmed" and seq_of(frame.pos) <= position.seq:
            # What is gone lies below: frames that were on their way have carried the device past it.
            position.head = max(position.head, frame.head)
            self.held.on_head(frame.cid, head=position.head, floor=frame.floor)
            self.pulls.want(frame.cid)
        elif self.held.told.get(frame.cid) != told:
            self._epochs[frame.cid] = frame.epoch
            position.on_reset(pos=frame.pos, epoch=frame.epoch, head=frame.head, reason=frame.reason)
            self.pulls.heard(frame.cid, answer=True)  # a pull from before the reset is no use any more
            self.acks.forget(frame.cid)
            self._reset(frame.cid, told, floor=frame.floor)
            self.pulls.want(frame.cid)

    def _reset(self, cid: str, told: Told, *, floor: int | None = None) -> None:
        self.inbox.put_reset(self.held.on_reset(cid, told, floor=floor))
        if told.reason != "trimmed":
            self.outbox.return_above(cid, seq_of(told.pos), everything=told.reason == "epoch")

    def _on_stored(self, frame: frames.Stored, now: float) -> None:
        self.outbox.on_sent(frame.cid, frame.cmid, frame.id, dup=frame.dup)

    def _on_cursors(self, frame: frames.Cursors, now: float) -> None:
        self._reads.on_cursors(frame.cid, frame.read)
        if self.held.on_cursors(frame):
            self.inbox.put_event(events.CursorsMoved(frame.cid, frame.delivered, frame.read, frame.unread))

    def _on_receipt(self, frame: frames.Receipt, now: float) -> None:
        if self.inbox.roomy:  # the room that is left is for messages
            self.inbox.put_event(events.Receipt(frame.cid, frame.user, frame.delivered, frame.read))

    def _on_signal(self, frame: frames.Signal, now: float) -> None:
        if self.inbox.roomy:
            self.inbox.put_event(events.Signal(frame.cid, frame.sender, frame.body))

    def _on_change(self, frame: frames.Change, now: float) -> None:
        if frame.change in ("left", "deleted"):
            self._leave(frame.cid, frame.change)
            return
        if frame.row is not None and (frame.change == "joined" or frame.cid not in self.held.positions):
            self._adopt(frame.row, now)
        elif frame.row is not None:
            self.held.update(frame.row)
            self.pulls.want(frame.cid)
        self.inbox.put_event(events.Changed(frame.cid, frame.change))

    def _leave(self, cid: str, change: str) -> None:
        self.inbox.forget(cid)
        self.held.forget(cid)
        self.acks.forget(cid)
        self.pulls.forget(cid)
        self._epochs.pop(cid, None)
        if change == "deleted":
            self._reads.forget(cid)
            self.outbox.on_deleted(cid, NoSuchConversation(f"conversation {cid} was deleted"))
        self.inbox.put_event(events.Changed(cid, change))

    def _on_refusal(self, frame: frames.Refusal, now: float) -> None:
        error = error_of(frame.code, frame.message, retry_after_ms=frame.retry_after_ms)
        temporary = frame.temporary or error.temporary
        if temporary and frame.rid == signals.RID:
            return  # it is not said again, and nobody waits for it
        if frame.cid is not None and frame.cmid is not None:
            if frame.code == "cmid_expired":
                outgoing = self.outbox.expire(frame.cid, frame.cmid)
                if outgoing is not None:
                    self.expired.append(outgoing)
                return
            self.outbox.on_refused(frame.cid, frame.cmid, error, temporary=temporary, now=now, chance=self._chance())
            return
        if temporary and self._again.refused(frame.rid, wait_s=(frame.retry_after_ms or 1000) / 1000, now=now):
            return
        cid = self.pulls.refused(frame.rid, wait_s=(frame.retry_after_ms or 1000) / 1000, now=now)
        if cid is None or not temporary:
            self.inbox.put_event(events.Refused(frame.cid or cid, error))
        position = self.held.positions.get(cid) if cid is not None else None
        if position is not None:
            position.pulling = None
            position.chasing = position.chasing and temporary

    def _on_ping(self, frame: frames.Ping, now: float) -> None:
        self._answers.append({"type": "pong"} if frame.t is None else {"type": "pong", "t": frame.t})


_HANDLERS: Final[dict[type[frames.Incoming], Callable[[Core, Any, float], None]]] = {
    frames.Sync: Core._on_sync,
    frames.Messages: Core._on_messages,
    frames.Notice: Core._on_notice,
    frames.Reset: Core._on_reset,
    frames.Stored: Core._on_stored,
    frames.Cursors: Core._on_cursors,
    frames.Receipt: Core._on_receipt,
    frames.Signal: Core._on_signal,
    frames.Change: Core._on_change,
    frames.Refusal: Core._on_refusal,
    frames.Ping: Core._on_ping,
}
