"""One connection as a state machine: frames in, decisions out.

Theory of operation. Everything that affects a session's state happens in this module; whoever owns the socket does
what the decisions say and nothing else.

    WAITING   nothing but `hello` is taken, within HELLO_S of the connect.
    CHECKING  the token is being checked; a client that talks on meanwhile is in order, its frames wait at the owner.
    OPEN      `opened()` was called: every frame of the contract.
    CLOSED    after a Close decision; whatever still comes is ignored.

A decision is a value that says what is owed: an answer that is known already (Reply), or work that needs the log
(Submit, Fetch, …). A wrong frame costs an `error` and the session lives on; before it is open it costs the session.

A session has a Place in each conversation it is attached to: its window and how it gets the conversation. Places
are bounded by the conversations of the user.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import UNSET

from pushpull.delivery import client_frames, codes, frames, liveness
from pushpull.delivery.allowance import Allowance
from pushpull.delivery.checks import bytes_of, check_hello, check_pull, check_read, wrong_ack
from pushpull.delivery.decisions import (
    Acked,
    Authenticate,
    Close,
    Decision,
    Fetch,
    List,
    Looked,
    Pass,
    ReadTo,
    Renew,
    Reply,
    Submit,
)
from pushpull.delivery.drafts import check_body, draft
from pushpull.delivery.liveness import Due, Liveness
from pushpull.delivery.place import Connection, Device, Place
from pushpull.delivery.screen import Screen
from pushpull.delivery.send_order import SendOrder
from pushpull.errors import BadRequest, NotAMember, PushpullError
from pushpull.model import Cid, LogId, Mode, SessionId, Uid, check_cid
from pushpull.settings import Settings

HELLO_S: Final = 5.0
HELLO_BYTES: Final = 16 * 1024  # before anyone is authenticated
HELLO_BYTES_AUTHENTICATED: Final = 1024 * 1024  # room for the positions of some 10,000 conversations
SIGNAL_BYTES: Final = 4 * 1024

ALWAYS_TAKEN: Final = (client_frames.Ack, client_frames.Pong, client_frames.Auth)
"""Taken over the rate, too: to refuse them would cost a redelivery, or the connection."""


class Phase(Enum):
    WAITING = "waiting"
    CHECKING = "checking"
    OPEN = "open"
    CLOSED = "closed"


class Session:
    def __init__(
        self,
        session_id: SessionId,
        connection: Connection,
        *,
        settings: Settings,
        now: float,
        authenticated: bool = False,
    ) -> None:
        """`authenticated`: the upgrade carried a good token, so the hello may be larger.

        `connection` is kept for the owner, who does all the writing; asked only whether anything was.
        """
        self.id = session_id
        self.connection = connection
        self.settings = settings
        self.phase = Phase.WAITING
        self.uid = Uid("")
        self.device = ""
        self.receipts = False  # the hello asked for them
        self.owner: Device | None = None  # whose places these are, from `opened` on
        self.expires_at: float | None = None
        self.places: dict[Cid, Place] = {}
        self.features: tuple[str, ...] = ()  # those it asked for and gets
        self._screen = Screen()
        self._allowance = Allowance(settings.limits)  # the user's, from `opened` on
        self._order = SendOrder()
        self._liveness = Liveness(now)
        self._hello_bytes = HELLO_BYTES_AUTHENTICATED if authenticated else HELLO_BYTES

    # ------------------------------------------------------------------------------------------------ frames in

    def receive(self, text: str | bytes, now: float) -> list[Decision]:
        """Take one frame; what is owed for it, in order."""
        self._liveness.heard(now)
        if self.phase is Phase.CLOSED:
            return []
        if self.phase is Phase.CHECKING:  # the owner's mistake; to go on would send for a user that is not known
            return [self.close(codes.BAD_FRAME, "a frame was taken before its sender's token was checked")]
        limit = self.settings.limits.frame_bytes if self.phase is Phase.OPEN else self._hello_bytes
        if (size := bytes_of(text, limit)) > limit:
            return [self.close(codes.FRAME_TOO_LARGE, f"frame of {size} bytes is over the limit of {limit}")]
        try:
            frame = client_frames.parse(text)
            return self._take(frame, now)
        except client_frames.BadFrame as bad:
            if self.phase is not Phase.OPEN:
                return [self.close(codes.BAD_FRAME, bad.error.message)]
            if self._allowance.frame(now) and self._allowance.abused(now):  # nonsense counts like anything else
                return [self.close(codes.RATE_LIMITED, codes.ABUSED)]
            return [Reply(frames.error(bad.error, rid=bad.rid, cid=bad.cid, cmid=bad.cmid))]

    def _take(self, frame: client_frames.ClientFrame, now: float) -> list[Decision]:
        if self.phase is Phase.WAITING:
            return self._take_hello(frame)
        over_ms = self._allowance.frame(now)
        if over_ms and self._allowance.abused(now):
            return [self.close(codes.RATE_LIMITED, codes.ABUSED)]
        try:
            if over_ms and not isinstance(frame, ALWAYS_TAKEN):
                raise self._allowance.refusal(over_ms)
            return self._take_open(frame, now)
        except PushpullError as problem:
            cid, cmid = getattr(frame, "cid", None), getattr(frame, "cmid", None)
            if isinstance(frame, client_frames.Send):
                self.send_failed(Cid(frame.cid), frame.cmid, problem, now)
            return [Reply(frames.error(problem, rid=frame.rid, cid=cid, cmid=cmid))]

    def _take_hello(self, frame: client_frames.ClientFrame) -> list[Decision]:
        if not isinstance(frame, client_frames.Hello):
            return [self.close(codes.BAD_FRAME, "the first frame is not hello")]
        try:
            check_hello(frame)
        except PushpullError as problem:
            return [self.close(codes.BAD_FRAME, problem.message)]
        self.phase = Phase.CHECKING
        self.device, self.receipts = frame.device, client_frames.RECEIPTS in frame.features
        self.features = tuple(name for name in client_frames.FEATURES if name in frame.features)
        if frame.focus is not UNSET:
            self._screen.say(None if frame.focus is None else Cid(frame.focus), active=frame.active)
        return [Authenticate(frame)]

    def _take_open(self, frame: client_frames.ClientFrame, now: float) -> list[Decision]:
        match frame:
            case client_frames.Ack():
                return self._take_acks(frame, now)
            case client_frames.Send():
                return [self._take_send(frame, now)]
            case client_frames.Pull():
                return [self._take_pull(frame)]
            case client_frames.Read():
                return [self._take_read(frame)]
            case client_frames.Signal():
                return [self._take_signal(frame, now)]
            case client_frames.Sync():
                return [List(None if frame.after is None else check_cid(frame.after), frame.rid)]
            case _:
                return self._take_of_session(frame)

    def _take_of_session(self, frame: client_frames.ClientFrame) -> list[Decision]:
        """What concerns the session itself."""
        match frame:
            case client_frames.Focus():
                return [self._take_focus(frame)]
            case client_frames.Ping():
                return [Reply(frames.pong(frame.t, frame.rid))]
            case client_frames.Auth():
                return [Renew(frame.token)]
            case client_frames.Hello():
                raise BadRequest("hello was said already: one a connection")
            case _:
                return []  # a pong: that it came is all

    def _take_acks(self, frame: client_frames.Ack, now: float) -> list[Decision]:
        """Each ack by itself: a wrong one is answered and moves nothing, the others count."""
        decisions: list[Decision] = []
        for cid, seq in frame.acks.items():
            place = self.places.get(Cid(cid))
            problem = wrong_ack(place, cid, seq)
            if problem is not None:
                decisions.append(Reply(frames.error(problem, rid=frame.rid, cid=cid[:128])))
            elif place is not None and place.window.ack(seq, now=now, settings=self.settings.delivery):
                decisions.append(Acked(place))
        return decisions

    def _take_send(self, frame: client_frames.Send, now: float) -> Submit:
        cid = check_cid(frame.cid)
        taken = draft(frame, cid=cid, sender=self.uid, own=True, limits=self.settings.limits, chain=self.id)
        number = self._order.check(cid, frame.cmid, now)
        self._allowance.check_send(now)
        return Submit(taken, frame.rid, number)

    def _take_pull(self, frame: client_frames.Pull) -> Fetch:
        place = self._place(frame.cid)
        limit = self.settings.delivery.page_limit if frame.limit is None else frame.limit
        check_pull(frame, limit)
        return Fetch(place, frame.after, frame.before, limit, frame.rid)

    def _take_read(self, frame: client_frames.Read) -> ReadTo:
        place = self._place(frame.cid)
        check_read(frame)
        return ReadTo(place.cid, frame.seq, frame.rid)

    def _take_signal(self, frame: client_frames.Signal, now: float) -> Pass:
        place, body = self._place(frame.cid), check_body(bytes(frame.body), SIGNAL_BYTES)
        self._allowance.check_signal(place.cid, now)
        return Pass(place, body, frame.rid)

    def _take_focus(self, frame: client_frames.Focus) -> Looked:
        """A conversation that is not listed (yet) is remembered all the same: the list may come to it."""
        said_before = self._screen.said
        touched = self._screen.say(None if frame.cid is None else check_cid(frame.cid), active=frame.active)
        # The first word is one about all of them: what is not on the screen is known not to be from here on.
        places = tuple(self.places[cid] for cid in (touched if said_before else self.places) if cid in self.places)
        for place in places:
            place.focus = self._screen.focus_on(place.cid)
        return Looked(places)

    def _place(self, cid: str) -> Place:
        place = self.places.get(check_cid(cid))
        if place is None:
            raise NotAMember(f"conversation {cid} is not among those listed to this session")
        return place

    # ------------------------------------------------------------------------------------------------ told by the owner

    def opened(self, uid: Uid, *, expires_at: float | None, allowance: Allowance | None = None) -> None:
        """The hello's token was good. `expires_at`: s since 1970 by the same clock as every `now`, or None.
        `allowance`: the one it shares with the user's other connections.
        """
        self._allowance = allowance or self._allowance
        self.phase = Phase.OPEN
        self._liveness.look_again()
        self.uid = uid
        self.owner = Device(self.id, uid, self.device, self.connection, self.receipts)
        self.expires_at = expires_at

    def send_failed(
        self, cid: Cid, cmid: str, problem: PushpullError, now: float, *, number: int | None = None
    ) -> None:
        """A send, of that number in its Submit, was answered with an error: those behind it must not overtake it."""
        self._order.failed(cid, cmid, problem, now, number)

    def renewed(self, uid: Uid, *, expires_at: float | None) -> Close | None:
        """A fresh token was good; it must be the same user's."""
        if uid != self.uid:
            return self.close(codes.NOT_AUTHENTICATED, "token_invalid")
        self.expires_at = expires_at
        self._liveness.look_again()
        return None

    def attach(self, cid: Cid, start: LogId, mode: Mode = Mode.NOTIFY, *, oldest: int = 1) -> Place:
        """Stand at `start` in a conversation; everything below `oldest` is hidden from this member.

        `mode`: until whoever serves the place decides how (node.ways).
        """
        assert self.owner is not None, "attach before opened"
        place = self.places[cid] = Place(self.owner, cid, start, mode, oldest=oldest)
        place.focus = self._screen.focus_on(cid)
        return place

    def detach(self, cid: Cid) -> Place | None:
        place = self.places.pop(cid, None)
        if place is not None:
            place.attached = False
        return place

    def _too_late(self) -> Close:
        if self.phase is Phase.CHECKING:  # the client did its part: it is Redis that does not answer
            return self.close(codes.OVERLOADED, f"the token could not be checked within {HELLO_S:g} s")
        return self.close(codes.NO_ANSWER, f"no hello within {HELLO_S:g} s")

    def close(self, code: int, reason: str) -> Close:
        self.phase = Phase.CLOSED
        return Close(code, reason)

    # ------------------------------------------------------------------------------------------------ time

    def tick(self, now: float) -> Reply | Close | None:
        """What time alone makes due: a ping, or the end of the session. Call about once a second."""
        if self.connection.spoke:
            self.connection.spoke = False
            self._liveness.said(now)
        if self._liveness.waits(now) or self.phase is Phase.CLOSED:
            return None
        if self.phase is not Phase.OPEN:
            return self._too_late() if now - self._liveness.since >= HELLO_S else None
        match self._liveness.due(now, expires_at=self.expires_at):
            case Due.EXPIRED:
                return self.close(codes.NOT_AUTHENTICATED, "token_expired")
            case Due.SILENT:
                return self.close(codes.NO_ANSWER, f"no frame for {liveness.SILENCE_S:g} s")
            case Due.PING:
                return Reply(frames.ping())
            case None:
                return None
