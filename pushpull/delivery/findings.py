"""Why a message did not arrive, or that it did: from the facts to plain statements, the weightiest first.

What settles the question ends the list: who is no member, or joined later, is not served, however many sessions there
are. Else: did a device acknowledge it; how does each session stand; who is not connected, since when and why; was it
sent again and again; was the user notified while away. A user's cursors are moved by whichever of its devices is
furthest, so what the others lack is told although one has it.

Each code is stable, and has its line in TODO and its row in docs/support.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from pushpull.delivery.offline_findings import of_offline
from pushpull.delivery.trace import (
    DeviceFacts,
    Facts,
    Finding,
    MessageFacts,
    PlaceFacts,
    SessionFacts,
    Trace,
    UserFacts,
)

TODO: Final[dict[str, str]] = {
    "unclear": "Ask again: a session was just ending or opening.",
    "never_sent": "Look at the sender's app: its send was refused or never made. Its outbox still has it, or lost it.",
    "not_found": "Ask for the sender by name, or by seq. If it is older than what was searched, nothing can be told.",
    "not_yet": "Check the seq. Ask by cmid whether the message was sent at all.",
    "lost": "Redis lost what it had confirmed. See redis.durability; the sender's device sends it again by itself.",
    "missing": "The log has a hole that nothing accounts for. Compare it with a backup, and report this.",
    "redacted": "Somebody took it out on purpose. Nobody gets it any more.",
    "trimmed": "It is older than what is kept. Keep more with retention.max_messages and retention.max_age_days.",
    "not_a_member": "Add the user, if it should be in. It then sees what the conversation's setting history allows.",
    "joined_later": "This is as set. With the setting history all it could page back to it.",
    "in_history": "This is as meant: what is older than joining is there when the app pages back, and not unread.",
    "own_message": "Its other devices get it like anybody's; the one that sent it was answered `sent`.",
    "read": "Nothing, on our side: look at what the app shows.",
    "delivered": "One device has it. Look at what the app shows, or at another device below.",
    "past_it": "Nothing if it has just acknowledged. Else it asked to begin past it: it can page back.",
    "sent_unacked": "Look at the device: it is connected and does not answer. It is sent again until it acks.",
    "demoted": "Look at its line. It catches up by pulling, and nothing is lost.",
    "noticed": "Look at what the app does with a notice: it is to pull. It may wait until somebody looks.",
    "notice_due": "Ask again in a moment: the notice leaves with the next round.",
    "behind": "Look at why the device does not ack what it got before: this one follows after that.",
    "on_its_way": "Ask again in a moment.",
    "not_listed": "The device has not asked for its whole list (`sync` with `after`), or has just joined.",
    "node_silent": "Ask again. If it stays silent, look at that node: it hangs, or died in the last seconds.",
    "no_session": "The user gets it with the next connection.",
    "never_connected": "Look at the app: does it connect at all, and under this user id?",
    "device_never_came_back": "It gets it when it connects. The close says why it went; 4401 and 4403 need the app.",
    "device_was_there": "Look at the device's log around that time: it was connected and acknowledged nothing.",
    "device_vanished": "Its node died with it or its last words were lost. A device comes back by itself.",
    "redelivered": "It was sent more than once without an ack: look at the device.",
    "quiet": "Edits, reactions and redactions, and what is sent quietly, ring nobody.",
    "offline_off": "Nobody is notified while away unless offline.webhook_url is set.",
    "not_notified": "The conversation's setting offline leaves this out.",
    "muted": "The user wanted it so (`PUT /v1/conversations/{cid}/me`).",
    "notified": "Your app's webhook was told. Look there: did it ring the user?",
    "notified_before": "The user was told of something earlier and has not looked since: it is not told twice.",
    "notification_under_way": "The webhook is being called with it, or will be tried again.",
    "notification_waiting": "Wait for offline.delay_s, then ask again.",
    "notification_failed": "See `pushpull offline`: mend the receiver, then `pushpull offline --requeue`.",
}
"""What to do about each."""


def judged(facts: Facts) -> Trace:
    """The facts with their verdict."""
    return Trace(**msgspec.structs.asdict(facts), verdict=findings(facts))


def findings(facts: Facts) -> list[Finding]:
    """The verdict; never empty."""
    said = list(_judged(facts)) or [("unclear", "nothing of what is known tells why")]
    return [Finding(code=code, says=says, todo=TODO[code]) for code, says in said]


Said = tuple[str, str]
"""A code, and what it says here."""


def _judged(facts: Facts) -> Iterator[Said]:
    message, user = facts.message, facts.user
    if message.state != "stored":
        yield message.state, _not_stored(facts)
    if not user.member:
        yield "not_a_member", _no_member(user)
        return
    if message.seq is None or message.state not in ("stored", "redacted", "trimmed"):
        return
    if user.joined is not None and message.seq <= user.joined:
        yield _joined_later(facts)
        return
    yield from _of_cursors(facts)
    if message.state == "stored":
        yield from _of_sessions(facts, message.seq)
        yield from _of_devices(facts)
        yield from _of_pending(facts, message.seq)
        yield from of_offline(facts)


# ------------------------------------------------------------------------------------------------ the message


def _not_stored(facts: Facts) -> str:
    message, at = facts.message, facts.conversation
    match message.state:
        case "not_yet":
            return f"no message has seq {message.seq} yet: the head is {at.head}"
        case "redacted":
            return f"message {message.seq} was stored {_when(message.ts)} and redacted since"
        case "trimmed":
            return f"message {message.seq} is not kept any more: the oldest that is kept is {at.floor}"
        case "lost":
            return f"message {message.id} was stored {_when(message.ts)}, and the log does not hold it any more"
        case "missing":
            return f"the log has nothing at {message.seq}, though it reaches from {at.floor} to {at.head}"
        case _:
            return _unsent(message)


def _unsent(message: MessageFacts) -> str:
    searched = message.searched
    if searched is None or searched.whole:
        return f"nothing was ever stored under the cmid {message.cmid}"
    return (
        f"nothing is known under the cmid {message.cmid}: not of what was stored after {utc(searched.cmids_since)}, "
        f"nor among the messages from {searched.from_seq} on"
    )


# ------------------------------------------------------------------------------------------------ the user


def _no_member(user: UserFacts) -> str:
    past = "" if user.past is None else f"; it left when the head was {user.past}, or was named up to there"
    return f"{user.user} is no member now: only members are served{past}"


def _joined_later(facts: Facts) -> Said:
    user = facts.user
    stand = f"{user.user} joined at {user.joined}, after message {facts.message.seq}"
    if user.hidden:
        return "joined_later", f"{stand}, and sees only what came later (history: joined)"
    return "in_history", f"{stand}: it is not sent, and is there for who pages back (history: all)"


def _of_cursors(facts: Facts) -> Iterator[Said]:
    user, message = facts.user, facts.message
    if message.sender == user.user:
        yield "own_message", f"{user.user} sent it"
    if user.has_read:
        yield "read", f"{user.user} has read up to {user.read}, as its app said, or sent something later"
    elif user.has_delivered:
        yield "delivered", f"a device of {user.user}'s has acknowledged up to {user.delivered}"


# ------------------------------------------------------------------------------------------------ sessions


def _of_sessions(facts: Facts, seq: int) -> Iterator[Said]:
    for session in facts.sessions:
        if session.known == "answered":
            yield from _of_session(facts, session, seq)
    for node in facts.silent_nodes:
        yield "node_silent", f"node {node} did not answer: how its sessions stand is not known"
    if not facts.sessions:
        yield "no_session", f"{facts.user.user} is not connected"


def _of_session(facts: Facts, session: SessionFacts, seq: int) -> Iterator[Said]:
    place = session.place
    who = f"device {session.device}, connected since {utc(session.connected_at)},"
    if place is None:
        yield "not_listed", f"{who} has not been listed this conversation"
    elif place.acked >= seq:
        if not facts.user.has_delivered:
            yield "past_it", f"{who} stands at {place.acked}, past the message"
    elif place.sent >= seq:
        yield "sent_unacked", f"{who} {_unacked(place, session.buffered or 0)}"
    else:
        yield _not_sent(place, who, seq, session.buffered or 0)


def _unacked(place: PlaceFacts, buffered: int) -> str:
    window = place.window
    waits = f"; {buffered} bytes for it wait here" if buffered else ""
    if window is None or not window.delivery_count:
        return f"has fetched up to {place.sent} and acknowledged up to {place.acked}{waits}"
    times = "once" if window.delivery_count == 1 else f"{window.delivery_count} times"
    return f"was sent {window.first} to {window.last} {times} and has acknowledged up to {place.acked}{waits}"


def _not_sent(place: PlaceFacts, who: str, seq: int, buffered: int) -> Said:
    if place.demoted:
        return "demoted", f"{who} does not keep up ({buffered} bytes wait) and is told by notices until it does"
    if place.mode == "notify":
        if place.noticed >= seq:
            return "noticed", f"{who} was told by a notice that the head is {place.noticed}, and has not fetched it"
        return "notice_due", f"{who} is to be told by a notice ({place.why})"
    if place.catching_up or place.window is not None:
        return "behind", f"{who} has acknowledged {place.acked} of the {place.sent} it was sent, what follows waits"
    return "on_its_way", f"{who} stands at {place.sent} and is about to be sent what follows"


# ------------------------------------------------------------------------------------------------ devices


def _of_devices(facts: Facts) -> Iterator[Said]:
    if not facts.devices and not facts.sessions:
        yield "never_connected", f"no device of {facts.user.user}'s is known to have connected in the last month"
    for device in facts.devices:
        if device.state != "connected":
            yield from _of_device(device, facts)


def _of_device(device: DeviceFacts, facts: Facts) -> Iterator[Said]:
    stored = facts.message.ts or 0
    opened = None if device.connected is None else device.connected.at
    if device.state == "vanished":
        yield "device_vanished", f"device {device.device} connected {_when(opened)}; how that ended was not seen"
    elif device.closed is not None and device.closed.at <= stored:
        yield "device_never_came_back", f"device {device.device} {_close(device)}, and has not come back since"
    elif not facts.user.has_delivered:
        yield "device_was_there", f"device {device.device} connected {_when(opened)}, {_close(device)}, and acked less"


def _close(device: DeviceFacts) -> str:
    closed = device.closed
    if closed is None:
        return "was closed"
    reason = f": {closed.reason}" if closed.reason else ""
    return f"was closed {_when(closed.at)} by the {closed.by} with {closed.code}{reason}"


def _of_pending(facts: Facts, seq: int) -> Iterator[Said]:
    here = {session.session for session in facts.sessions}
    for row in facts.pending:
        if row.first <= seq <= row.last and row.session not in here:
            times = f"{row.delivery_count} times, last {_when(row.last_sent)}"
            yield "redelivered", f"{row.first} to {row.last} were sent to device {row.device} {times}, without an ack"


# ------------------------------------------------------------------------------------------------ words


def utc(ms: int) -> str:
    """`2026-03-01 12:30:05 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _when(ms: int | None) -> str:
    return "at a time that is not known" if ms is None else utc(ms)
