"""What one line of an exported conversation says of a message or a member, checked as if it came from an app."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET

from pushpull.delivery.drafts import DraftFields, draft
from pushpull.delivery.transfer import Member, Message
from pushpull.errors import Invalid
from pushpull.model import DEFAULT_PREFS, Cid, Draft, Kind, MovedMember, Prefs, Role, check_uid
from pushpull.settings import Limits

NOTIFY_CHOICES: Final = ("all", "mentions", "none")


def draft_of(line: Message, cid: Cid, seq: int, limits: Limits) -> Draft:
    """The message of `line`, which stands at `seq`. Raises Invalid, TooLarge, BadRequest."""
    if line.ref is not None and not 1 <= line.ref < seq:
        raise Invalid(f"ref {line.ref} is not a seq below {seq}, the message's own")
    kind = Kind.MESSAGE if line.kind is None else line.kind
    if kind == Kind.REDACT and line.ref is None:
        raise Invalid("kind 'redact' needs 'ref', the seq of the message it took out")
    fields = DraftFields(
        cmid=f"import:{seq}" if line.cmid is None else line.cmid,
        body=_body_of(line),
        # Nobody may send a redact, but a log holds some: all else about it is checked as of a reaction.
        kind=Kind.REACTION if kind == Kind.REDACT else kind,
        quiet=line.quiet,
        mentions=line.mentions,
        ref=line.ref,
    )
    sender = None if line.sender is None else check_uid(line.sender)
    made = draft(fields, cid=cid, sender=sender, own=False, limits=limits)
    return msgspec.structs.replace(made, kind=Kind.REDACT) if kind == Kind.REDACT else made


def member_of(line: Member, head: int) -> MovedMember:
    """The member of `line`, in a log whose head is `head`; who has no cursors has read all. Raises Invalid."""
    notify = DEFAULT_PREFS.notify if line.notify is None else line.notify
    if notify not in NOTIFY_CHOICES:
        raise Invalid(f"notify {notify[:40]!a} is not one of {', '.join(NOTIFY_CHOICES)}")
    if line.mute_until is not None and line.mute_until < 0:
        raise Invalid(f"mute_until {line.mute_until} is not a time in ms since 1970")
    prefs = Prefs(notify, line.mute_until or None)
    return MovedMember(
        uid=check_uid(line.user),
        role=Role.MEMBER if line.role is None else _role(line.role),
        joined=_cursor("joined", line.joined or 0, head),
        delivered=_cursor("delivered", line.delivered, head),
        read=_cursor("read", line.read, head),
        prefs=DEFAULT_PREFS if prefs == DEFAULT_PREFS else prefs,
    )


def _cursor(name: str, at: int | None, head: int) -> int:
    if at is None:
        return head
    if not 0 <= at <= head:
        raise Invalid(f"{name} {at} is not a seq from 0 to {head}, the head")
    return at


def _body_of(line: Message) -> msgspec.Raw:
    if (line.body is UNSET) == (line.body_text is UNSET):
        raise Invalid("expected either 'body' or 'body_text'")
    return line.body if isinstance(line.body, msgspec.Raw) else msgspec.Raw(str(line.body_text).encode())


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise Invalid(f"role {name[:40]!a} is not one of {', '.join(Role)}") from None
