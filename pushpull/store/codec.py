"""Entries, bells, heads and settings as bytes in Redis, and back.

A bell is `1 <id> <prev> <epoch> <mver> <floor> <count> <blob>`; the blob, empty when the message is large, is the JSON
array [from, cmid, kind, quiet, mentions, ref, body] made here before the append and carried by Lua unopened.

On the same channel a signal is `s1 <epoch> <mver> <from> <session> <body>`, and where members stand is
`r1 <epoch> <mver>` with ` <uid> <delivered> <read>` for each of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from pushpull.errors import Invalid
from pushpull.model import (
    DEFAULT_PREFS,
    TAG_DIGEST_BITS,
    Cid,
    ConversationSettings,
    Cursors,
    Draft,
    Edited,
    Entry,
    Head,
    LogId,
    Prefs,
    SessionId,
    Uid,
    seq_of,
    ts_of,
)
from pushpull.store.passing import ReceiptBell, SignalBell
from pushpull.store.values import Bell

BELL_VERSION: Final = b"1"
SIGNAL_VERSION: Final = b"s1"
RECEIPT_VERSION: Final = b"r1"
SETTING_PREFIX: Final = "set:"  # before a setting's name among the fields of meta
EVERYONE: Final = "*"
BLOB_OVERHEAD_BYTES: Final = 512  # sender, cmid, kind, ref and a few mentions beside the body

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_Blob = tuple[str | None, str, str, bool, tuple[str, ...], int | None, msgspec.Raw]
_decode_blob = msgspec.json.Decoder(_Blob).decode
_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode
_NO_SETTINGS: Final = ConversationSettings()
_SETTINGS: Final = frozenset(field.name for field in dataclasses.fields(ConversationSettings))


def digest(draft: Draft) -> str:
    """16 hex digits over what a cmid stands for: body, kind, mentions, ref. Each part's length goes before it."""
    hasher = blake2b(digest_size=8)
    ref = b"" if draft.ref is None else b"%d" % draft.ref
    for part in (draft.body, draft.kind.encode(), ref, *(name.encode() for name in draft.mentions)):
        hasher.update(b"%d:" % len(part))
        hasher.update(part)
    return hasher.hexdigest()


def tag_digest(draft: Draft) -> int:
    """The 10 bits of a tag that tell apart two messages of one seq and one millisecond."""
    hasher = blake2b(digest_size=2)
    for part in ((draft.sender or "").encode(), draft.cmid.encode(), draft.body):
        hasher.update(b"%d:" % len(part))
        hasher.update(part)
    return int.from_bytes(hasher.digest(), "big") & ((1 << TAG_DIGEST_BITS) - 1)


def blob(draft: Draft, inline_max_bytes: int) -> bytes:
    """The entry as it rides on the bell; empty when its body is larger than `inline_max_bytes`."""
    if len(draft.body) > inline_max_bytes:
        return b""
    head = [draft.sender, draft.cmid, draft.kind, draft.quiet, draft.mentions, draft.ref]
    made = _encode(head)[:-1] + b"," + draft.body + b"]"
    return made if len(made) <= inline_max_bytes + BLOB_OVERHEAD_BYTES else b""


def mention_index(draft: Draft) -> str:
    """`,alice,bob,` (or `,*,`) for the mentions zset; empty when nobody is mentioned in a way that can be unread."""
    if draft.quiet or not draft.mentions:
        return ""
    return ",*," if EVERYONE in draft.mentions else f",{','.join(draft.mentions)},"


def mention_field(draft: Draft) -> bytes:
    """The mentions as the log keeps them: a JSON array, or nothing."""
    return _encode(draft.mentions) if draft.mentions else b""


def rung(cid: Cid, payload: bytes) -> Bell | SignalBell | ReceiptBell:
    """Decode what came on a bell's channel; ValueError (or a subclass) when this release cannot read it."""
    kind = payload[:1]
    if kind == b"s":
        return signal(cid, payload)
    return receipts(cid, payload) if kind == b"r" else bell(cid, payload)


def receipts(cid: Cid, payload: bytes) -> ReceiptBell:
    """Decode where members stand; ValueError (or a subclass) when this release cannot read it."""
    version, epoch, mver, *moved = payload.split(b" ")
    if version != RECEIPT_VERSION:
        raise ValueError(f"receipt version {version[:8]!r} is not {RECEIPT_VERSION!r}")
    stands = zip(moved[::3], moved[1::3], moved[2::3], strict=True)
    return ReceiptBell(
        cid, epoch.decode(), int(mver), tuple((Uid(uid.decode()), int(at), int(read)) for uid, at, read in stands)
    )


def signal(cid: Cid, payload: bytes) -> SignalBell:
    """Decode a signal; ValueError (or a subclass) when this release cannot read it."""
    version, epoch, mver, sender, session, body = payload.split(b" ", 5)
    if version != SIGNAL_VERSION:
        raise ValueError(f"signal version {version[:8]!r} is not {SIGNAL_VERSION!r}")
    return SignalBell(cid, epoch.decode(), int(mver), Uid(sender.decode()), SessionId(session.decode()), body)


def bell(cid: Cid, payload: bytes) -> Bell:
    """Decode a bell; ValueError (or a subclass) when this release cannot read it."""
    version, log_id, prev, epoch, mver, floor, count, carried = payload.split(b" ", 7)
    if version != BELL_VERSION:
        raise ValueError(f"bell version {version[:8]!r} is not {BELL_VERSION!r}")
    known = LogId(log_id.decode())
    entry = _entry_of_blob(known, carried) if carried else None
    return Bell(cid, known, LogId(prev.decode()), epoch.decode(), int(mver), int(floor), int(count), entry)


def _entry_of_blob(log_id: LogId, carried: bytes) -> Entry:
    sender, cmid, kind, quiet, mentions, ref, body = _decode_blob(carried)
    uid = Uid(sender) if sender else None
    return Entry(log_id, seq_of(log_id), ts_of(log_id), uid, cmid, kind, bytes(body), quiet, mentions, ref)


def entry(raw: Sequence[Any], edit: bytes | None = None) -> Entry:
    """Decode a stream entry `[id, [field, value, …]]`, with its latest edit (`<edit's id> <body>`) where it has one."""
    log_id, flat = LogId(raw[0].decode()), raw[1]
    fields: dict[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    body, edited = fields[b"body"], None
    if edit:
        edit_id, _, body = edit.partition(b" ")
        edited = Edited(seq_of(edit_id.decode()), ts_of(edit_id.decode()))
    mentions, ref = fields.get(b"mentions"), fields.get(b"ref")
    return Entry(
        log_id,
        seq_of(log_id),
        ts_of(log_id),
        Uid(fields[b"from"].decode()) if fields[b"from"] else None,
        fields[b"cmid"].decode(),
        fields[b"kind"].decode(),
        body,
        b"quiet" in fields,
        _decode_names(mentions) if mentions else (),
        int(ref) if ref else None,
        edited,
    )


def head(state: Sequence[Any]) -> Head:
    """Decode a conversation's state, as `state_of` (lua/state.lua) puts it. Hot when all devices come back."""
    epoch, last_id, floor, count, mver, rev, removals, members, settings = state
    return Head(
        epoch=epoch.decode(),
        last_id=LogId(last_id.decode()),
        floor=floor,
        count=count,
        mver=mver,
        rev=rev,
        members=members,
        settings=_settings(settings) if settings else _NO_SETTINGS,  # nearly all have none: one object for all of them
        removals=removals,
    )


def _settings(flat: Sequence[bytes]) -> ConversationSettings:
    """Decode `[field, value, …]`; what a later release may have set is passed over."""
    found = {field.decode()[len(SETTING_PREFIX) :]: value for field, value in zip(flat[::2], flat[1::2], strict=True)}
    return ConversationSettings(**{name: _decode(value) for name, value in found.items() if name in _SETTINGS})


def setting_fields(changes: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """Split changed settings into meta fields to set (JSON values) and to drop (None: back to the service's own)."""
    unknown = sorted(set(changes) - _SETTINGS)
    if unknown:
        raise Invalid(f"setting {unknown[0]!r:.60} is not known: expected one of {', '.join(sorted(_SETTINGS))}")
    kept = {f"{SETTING_PREFIX}{name}": _encode(value) for name, value in changes.items() if value is not None}
    return kept, [f"{SETTING_PREFIX}{name}" for name, value in changes.items() if value is None]


def cursors(raw: Sequence[int], count: int) -> Cursors:
    """Decode `[delivered, read, unread]`."""
    return Cursors(raw[0], raw[1], raw[2], count)


def prefs(raw: bytes) -> Prefs:
    """Decode `<notify> <mute until, ms; 0: not muted>`."""
    notify, _, mute_until = raw.decode().partition(" ")
    return Prefs(notify, int(mute_until) or None)


def prefs_field(said: Prefs) -> str:
    """What `prefs` decodes; empty where a member has said nothing."""
    return "" if said == DEFAULT_PREFS else f"{said.notify} {said.mute_until or 0}"


def is_error(reply: Any) -> bool:
    """Whether a script's reply is `["err", code, detail…]`."""
    return isinstance(reply, list) and bool(reply) and reply[0] == b"err"
