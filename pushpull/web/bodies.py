"""What requests carry: one struct for each body, read within a bound and checked.

Unknown fields are ignored, as everywhere in the contract, except among a conversation's settings: one that this
service does not know it cannot honour. A message's body stays the raw bytes that came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec
import orjson
from msgspec import UNSET, UnsetType
from starlette.requests import Request

from pushpull.delivery.drafts import DEPTH_MAX, DraftFields, nests_deeper
from pushpull.errors import BadRequest, Invalid, TooLarge, lowered
from pushpull.model import Role, Uid, check_uid
from pushpull.web.parameters import within

T = TypeVar("T")

READ_TIMEOUT_S: Final = 20.0
"""For a whole body: a caller that dribbles must not hold its memory for ever."""
SMALL_BYTES: Final = 64 * 1024
MEMBERS_BYTES: Final = 8 * 1024 * 1024
"""Holds `MEMBERS_MAX` to add and as many to remove, each of 128 characters with a role."""
BATCH_BYTES: Final = 8 * 1024 * 1024
MEMBERS_MAX: Final = 10_000
BATCH_MAX: Final = 1_000
PUSH_WINDOW_MAX_MS: Final = 10_000
DATA_BYTES_MAX: Final = 4 * 1024

CHOICES: Final = {
    "mode": ("auto", "push", "notify"),
    "history": ("all", "joined"),
    "offline": ("all", "mentions", "none"),
}
NOTIFY_CHOICES: Final = ("all", "mentions", "none")


class MemberBody(msgspec.Struct, kw_only=True):
    """A member to add, where a bare uid does not say enough."""

    user: str
    role: str = Role.MEMBER.value


class SettingsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Conversation settings to change: one left out stays, null puts it back to the default."""

    mode: str | UnsetType | None = UNSET
    push_window_ms: int | UnsetType | None = UNSET
    history: str | UnsetType | None = UNSET
    offline: str | UnsetType | None = UNSET
    retain_messages: int | UnsetType | None = UNSET
    retain_days: int | UnsetType | None = UNSET
    sends_per_s: float | UnsetType | None = UNSET
    data: Any = UNSET


class ConversationBody(msgspec.Struct, kw_only=True):
    """PUT of a conversation. `members` only where it is new."""

    members: list[str | MemberBody] | UnsetType = UNSET
    settings: SettingsBody | UnsetType = UNSET


class MembersBody(msgspec.Struct, kw_only=True):
    """Members to take out and to put in, in that order."""

    add: list[str | MemberBody] = []
    remove: list[str] = []


class SendBody(DraftFields, kw_only=True):
    """One message. `from` is for servers; without it the service itself is the sender."""

    sender: str | None = msgspec.field(default=None, name="from")


class BatchItem(SendBody, kw_only=True):
    """One message of many."""

    cid: str


class CursorsBody(msgspec.Struct, kw_only=True):
    """Cursors to move forward, at least one of them."""

    delivered: int | None = None
    read: int | None = None


class PrefsBody(msgspec.Struct, kw_only=True):
    """What a member wants to be notified of: one left out stays. `mute_until` is ms since 1970, null: not muted."""

    notify: str | UnsetType = UNSET
    mute_until: int | UnsetType | None = UNSET


class RequeueBody(msgspec.Struct, kw_only=True):
    """Ids of dead letters; without them all are meant."""

    ids: list[str] | UnsetType = UNSET


class RevokedBody(msgspec.Struct, kw_only=True):
    """Seconds since 1970: tokens issued before are refused."""

    ts: int | float


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The request's body. Raises TooLarge as soon as more than `limit_bytes` have come, BadRequest if it takes long.

    The content type is not looked at: every body here is JSON, and `curl -d` says otherwise.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit_bytes:
        raise TooLarge(f"request body of {announced[:20]} bytes is over the limit of {limit_bytes}")
    body = bytearray()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise TooLarge(f"request body is over the limit of {limit_bytes} bytes")
    except TimeoutError:
        raise BadRequest(f"request body did not come within {READ_TIMEOUT_S:.0f} s") from None
    return bytes(body)


def decode(body: bytes | msgspec.Raw, wanted: type[T]) -> T:
    """`body` as `wanted`. Raises BadRequest for what is no JSON or has fields of other types."""
    if not body:
        raise BadRequest("request body is empty, expected JSON")
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as problem:
        raise BadRequest(f"request body: {lowered(problem)[:300]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequest(f"request body is not JSON: {lowered(problem)[:300]}") from None


def checked_members(listed: Iterable[str | MemberBody]) -> list[tuple[Uid, Role]]:
    """Who is to be a member, each once, as what; of two mentions of one user the last counts. Raises Invalid."""
    roles: dict[Uid, Role] = {}
    for member in listed:
        body = member if isinstance(member, MemberBody) else MemberBody(user=member)
        roles[check_uid(body.user)] = _role(body.role)
    _check_members_count(len(roles), "add")
    return list(roles.items())


def checked_uids(listed: Iterable[str]) -> list[Uid]:
    """Who is to be a member no more, each once. Raises Invalid."""
    uids = list(dict.fromkeys(check_uid(uid) for uid in listed))
    _check_members_count(len(uids), "remove")
    return uids


def checked_prefs(body: PrefsBody) -> tuple[str | None, int | None]:
    """notify and mute_until, None where they stay; 0: not muted. Raises Invalid."""
    notify = None if body.notify is UNSET else body.notify
    if notify is not None and notify not in NOTIFY_CHOICES:
        raise Invalid(f"notify {notify!a:.40} is not one of {', '.join(NOTIFY_CHOICES)}")
    if body.mute_until is UNSET:
        return notify, None
    return notify, within("mute_until", body.mute_until) or 0


def checked_settings(body: SettingsBody | UnsetType) -> dict[str, Any]:
    """The settings to change, by name; None for one that goes back to its default. Raises Invalid."""
    if body is UNSET:
        return {}
    changes = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    for name, value in changes.items():
        if value is not None:
            _check_setting(name, value)
    return changes


def _check_setting(name: str, value: Any) -> None:
    match name:
        case "data":
            _check_data(value)
        case "push_window_ms":
            if not 0 <= value <= PUSH_WINDOW_MAX_MS:
                raise Invalid(f"settings.{name} {str(value)[:40]} is not a whole number from 0 to {PUSH_WINDOW_MAX_MS}")
        case "retain_messages" | "retain_days":
            least = 1 if name == "retain_messages" else 0
            if not least <= value <= 2**31:
                raise Invalid(f"settings.{name} {str(value)[:40]} is not a whole number from {least} to {2**31}")
        case "sends_per_s":
            if not 0 < value <= 1_000_000:
                raise Invalid(f"settings.sends_per_s {str(value)[:40]} is not a number above 0, up to 1000000")
        case _ if value not in CHOICES[name]:
            raise Invalid(f"settings.{name} {value!a:.40} is not one of {', '.join(CHOICES[name])}")


def _check_data(data: Any) -> None:
    try:
        encoded = orjson.dumps(data)
    except orjson.JSONEncodeError:  # a number beyond 64 bits, or too deep
        raise Invalid("settings.data holds a number beyond 64 bits, or nests too deep") from None
    if nests_deeper(data, DEPTH_MAX):  # it stands inside other frames, which could not be encoded any more
        raise Invalid(f"settings.data has over {DEPTH_MAX} arrays and objects inside each other")
    if len(encoded) > DATA_BYTES_MAX:
        raise TooLarge(f"settings.data of {len(encoded)} bytes is over the limit of {DATA_BYTES_MAX}")


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise Invalid(f"role {name!a:.40} is not one of {', '.join(Role)}") from None


def _check_members_count(count: int, field: str) -> None:
    if count > MEMBERS_MAX:
        raise Invalid(f"{field} names {count} users, expected at most {MEMBERS_MAX} in one call")
