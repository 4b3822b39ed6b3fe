"""From what a sender wrote to a Draft that may be appended: every check of a message that needs no log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
import orjson

from pushpull.errors import BadRequest, Invalid, TooLarge
from pushpull.model import CMID_MAX, EXACT_MAX, QUIET_KINDS, Cid, Draft, Kind, Uid, check_uid
from pushpull.settings import Limits

KIND_MAX: Final = 64
DEPTH_MAX: Final = 200
"""Arrays and objects inside each other. Parsers give up somewhere above 900, and not all of them in the same place."""
SERVICE_PREFIX: Final = "sys."
NEEDS_REF: Final = frozenset({Kind.EDIT, Kind.REACTION})

Exact = Annotated[int, msgspec.Meta(ge=-EXACT_MAX, le=EXACT_MAX)]


class DraftFields(msgspec.Struct, kw_only=True):
    """The fields of a message as a sender writes them, over WebSocket or HTTP. `body` stays the raw bytes."""

    cmid: str
    body: msgspec.Raw
    kind: str = Kind.MESSAGE
    quiet: bool = False
    mentions: list[str] = []
    ref: Exact | None = None
    first_at: Exact | None = None


def draft(fields: DraftFields, *, cid: Cid, sender: Uid | None, own: bool, limits: Limits, chain: str = "") -> Draft:
    """Check `fields` and return the Draft.

    `sender` is None for the service itself; `own` says that the sender's own token sent it (then membership, role
    and cursors apply). Raises Invalid, TooLarge, or BadRequest for a body that is no JSON.
    """
    check_cmid(fields.cmid)
    _check_kind(fields, sender=sender, own=own)
    return Draft(
        cid=cid,
        sender=sender,
        cmid=fields.cmid,
        body=check_body(bytes(fields.body), limits.body_bytes),
        kind=fields.kind,
        quiet=fields.quiet or fields.kind in QUIET_KINDS,
        mentions=_check_mentions(fields.mentions, limits.mentions),
        ref=fields.ref,
        first_at=fields.first_at,
        own=own,
        chain=chain,
    )


def redaction(cid: Cid, seq: int, *, sender: Uid | None, own: bool) -> Draft:
    """The quiet `redact` that takes the entry at `seq` away. Its cmid is made of the seq: asked twice, done once."""
    return Draft(
        cid=cid,
        sender=sender,
        cmid=f"redact:{seq}",
        body=b"null",
        kind=Kind.REDACT,
        quiet=True,
        ref=seq,
        own=own,
    )


def check_body(body: bytes, limit_bytes: int) -> bytes:
    """Return `body` if it is JSON of at most `limit_bytes` and DEPTH_MAX; NaN, lone surrogates, bad UTF-8 are not."""
    if len(body) > limit_bytes:
        raise TooLarge(f"body of {len(body)} bytes is over the limit of {limit_bytes}")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise BadRequest(f"body is not JSON: {problem.msg} at byte {problem.pos}") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and nests_deeper(value, DEPTH_MAX):
        raise Invalid(f"body has over {DEPTH_MAX} arrays and objects inside each other")
    return body


def nests_deeper(value: object, depth: int) -> bool:
    """Whether `value`, as JSON was decoded, has more than `depth` arrays and objects inside each other."""
    level = [value]
    for _ in range(depth):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def check_cmid(cmid: str) -> str:
    """Return `cmid`, or raise Invalid."""
    if not 1 <= len(cmid) <= CMID_MAX or not cmid.isprintable():
        raise Invalid(f"cmid {cmid[:80]!a} of {len(cmid)} characters is not 1 to {CMID_MAX} printable characters")
    return cmid


def _check_kind(fields: DraftFields, *, sender: Uid | None, own: bool) -> None:
    kind = fields.kind
    if not 1 <= len(kind) <= KIND_MAX or not kind.isprintable():
        raise Invalid(f"kind {kind[:80]!a} is not 1 to {KIND_MAX} printable characters")
    if kind == Kind.REDACT:
        raise Invalid("kind 'redact' is the service's own: delete the message instead")
    if kind.startswith(SERVICE_PREFIX) and (own or sender is not None):
        raise Invalid(f"kind {kind!a} is the service's own: only a server key without 'from' may send it")
    if kind in NEEDS_REF and fields.ref is None:
        raise Invalid(f"kind {kind!a} needs 'ref', the seq of the message it is about")
    if fields.ref is not None and fields.ref < 1:
        raise Invalid(f"ref {fields.ref} is not a seq: 1 or more")
    if fields.first_at is not None and fields.first_at < 0:
        raise Invalid(f"first_at {fields.first_at} is not a time in ms since 1970")


def _check_mentions(mentions: list[str], limit: int) -> tuple[str, ...]:
    if len(mentions) > limit:
        raise Invalid(f"{len(mentions)} mentions are over the limit of {limit}")
    return tuple(dict.fromkeys(who if who == "*" else check_uid(who) for who in mentions))
