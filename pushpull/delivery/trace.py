"""What is known of one message and one user, put together to answer "it never arrived": the facts, and no bodies.

Gathered by node.trace, judged by delivery.findings, answered as they stand by `GET …/trace`. Times are ms since 1970; a
seq of null, where a field may be null, means that there is none.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pushpull.delivery.offline import Level

State = Literal["stored", "redacted", "trimmed", "not_yet", "lost", "missing", "never_sent", "not_found"]


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cmid was looked for in vain. `cmids_since`: what was stored since then would be known by its cmid.
    `from_seq`: the log was looked through from there to the head. `whole`: that is every message there ever was, none
    of them redacted. `senders`: how many senders' cmids were looked at."""

    cmids_since: int
    from_seq: int
    whole: bool
    senders: int


class MessageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The message asked for. Of one that is not stored only `seq`, `id` and `ts` are known, if those.

    stored       it is in the log
    redacted     it was, and was taken out for good
    trimmed      it lies below what is kept
    not_yet      its seq is above the head: no message has it yet
    lost         a message was stored under this cmid, and the log holds another at its seq: Redis lost it in a failover
    missing      its seq is in the log's range, and nothing is known of it
    never_sent   nothing was ever stored under this cmid
    not_found    nothing is known under this cmid; `searched` says since when it would be
    """

    state: State
    seq: int | None = None
    id: str | None = None
    ts: int | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    cmid: str | None = None
    kind: str | None = None
    quiet: bool = False
    mentioned: bool = False  # the user is
    edited_at: int | None = None
    searched: Searched | None = None


class ConversationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`mode` and `why`: the one in force for who says nothing of its screen, as the node asked sees it. `notifies`: of
    what absent members are notified."""

    cid: str
    head: int
    floor: int
    epoch: str
    members: int
    mode: Literal["push", "notify"]
    why: str
    history: Literal["all", "joined"]
    notifies: Level


class UserFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The user in this conversation; of one who is no member all but `past` is null: up to where it may stand in the
    log, having left the conversation or having been named in it. `joined`: the head it joined at.
    `hidden`: by the conversation's setting `history` it sees only what is newer. `has_delivered`, `has_read`: whether
    the cursors cover the message."""

    user: str
    member: bool
    role: str | None = None
    joined: int | None = None
    hidden: bool = False
    delivered: int | None = None
    read: int | None = None
    has_delivered: bool = False
    has_read: bool = False
    notify: str | None = None
    mute_until: int | None = None
    past: int | None = None


class WindowFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was handed to a device and is not acked. `deadline_ms`: from now; null where no ack is waited for."""

    first: int
    last: int
    delivery_count: int
    first_sent: int | None
    deadline_ms: int | None


class PlaceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands in the conversation, and how it is served there.

    `demoted`: it does not keep up, and is notified until it does. `screen`: what it says of its screen. `noticed`: the
    head it was last told of by a notice. `catching_up`: it gets its backlog batch by batch, each after the ack of the
    one before.
    """

    way: Literal["pushed", "gathered", "notified", "told"]
    mode: Literal["push", "notify"]
    why: str
    demoted: bool
    screen: Literal["unsaid", "here", "elsewhere"]
    sent: int
    acked: int
    noticed: int
    catching_up: bool
    window: WindowFacts | None


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its own node knows it. `place` null: the conversation is not on its list (yet)."""

    session: str
    buffered: int
    place: PlaceFacts | None


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A session on the user's table. `known` answered: `buffered` and `place` are what its node says; silent: the node
    did not answer in time; gone: it did, and the session has just ended."""

    session: str
    device: str
    node: str
    client: str
    connected_at: int
    known: Literal["answered", "silent", "gone"]
    buffered: int | None = None
    place: PlaceFacts | None = None


class PendingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A range that had to be sent to a device again, kept until it is acked, for an hour at the most."""

    device: str
    session: str
    first: int
    last: int
    delivery_count: int
    first_sent: int
    last_sent: int


class LetterFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    why: str
    tries: int
    at: int


class OfflineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Notification of who is away. `enabled`: a webhook is named. `withdrawn`: the user has come past the message by
    the cursor that takes a notification back. `due_at`: when somebody looks who is behind. `job`: that time has come.
    `event`: the notification under way, where the user is in it. `told`: the head of the user's last notification;
    `outstanding`: the user has not come that far since, and is not notified again before."""

    enabled: bool
    withdrawn: bool
    due_at: int | None
    job: bool
    failed_tries: int
    event: str | None
    told: int | None
    outstanding: bool
    letters: list[LetterFacts]


class ConnectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`session`: the beginning of its id; so in CloseFacts."""

    at: int
    node: str
    client: str
    session: str


class CloseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`by`: device, service, or line where nobody said goodbye."""

    at: int
    code: int
    reason: str
    by: Literal["device", "service", "line"]
    node: str
    session: str


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A device that was connected in the last month, and how it stands now.

    connected    it has a session
    closed       `closed` is how its last session ended
    vanished     its last session ended and no node saw how: a node died with it, or its close was not written
    """

    device: str
    state: Literal["connected", "closed", "vanished"]
    connected: ConnectFacts | None
    closed: CloseFacts | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. `at`: when it was gathered, by Redis' clock. `silent_nodes` did not answer in time."""

    at: int
    message: MessageFacts
    conversation: ConversationFacts
    user: UserFacts
    sessions: list[SessionFacts]
    silent_nodes: list[str]
    pending: list[PendingFacts]
    offline: OfflineFacts
    devices: list[DeviceFacts]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One plain statement. `code` is stable; `says` is for people, `todo` what to do about it ("": nothing)."""

    code: str
    says: str
    todo: str


class Trace(Facts, frozen=True, kw_only=True):
    """The facts and the verdict, the weightiest finding first; there is always one."""

    verdict: list[Finding]
