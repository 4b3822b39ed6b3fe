"""Every client frame, by everybody, on both WebSocket paths; and every token that must open no session."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from pushpull.delivery.client_frames import KNOWN_TYPES
from tests.e2e.service import API_KEY, LocalService, token_of
from tests.e2e.wire import Wire
from tests.security.conftest import QUIET_MEMBER, ROLES, TITLE, WORDS, Digest
from tests.security.credentials import FORGED, MEMBER, REASONS

NM, NA = "not_a_member", "not_allowed"
PING = ("pong",) * 5
NOTHING = ("nothing",) * 5

# frame, and what is heard for it by: stranger, former member, reader, member, moderator. "nothing": no error either.
TABLE: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("hello", {"device": "other"}, ("bad_request",) * 5),
    ("auth", {"token": "garbage"}, ("4401",) * 5),
    ("auth", {"token": token_of("alice")}, ("4401",) * 5),
    ("send", {"cid": "room", "cmid": "c", "body": 1}, (NM, NM, NA, "sent", "sent")),
    ("send", {"cid": "room", "cmid": "c", "body": 1, "from": "alice"}, (NM, NM, NA, "sent", "sent")),
    ("send", {"cid": "room", "cmid": "c", "body": 1, "kind": "sys.joined"}, ("invalid",) * 5),
    ("send", {"cid": "room", "cmid": "c", "body": 1, "kind": "redact", "ref": 1}, ("invalid",) * 5),
    ("send", {"cid": "room", "cmid": "c", "body": 1, "kind": "edit", "ref": 1}, (NM, NM, NA, NA, NA)),
    ("ack", {"acks": {"room": 2}}, (NM, NM, "cursors", "cursors", "cursors")),
    ("read", {"cid": "room", "seq": 2}, (NM, NM, "cursors", "cursors", "cursors")),
    ("pull", {"cid": "room", "after": 0}, (NM, NM, "messages", "messages", "messages")),
    ("pull", {"cid": "room"}, (NM, NM, "history", "history", "history")),
    ("sync", {}, ("sync",) * 5),
    ("sync", {"after": "room"}, ("sync",) * 5),
    ("ping", {"t": 1}, PING),
    ("pong", {"t": 1}, NOTHING),
    ("focus", {"cid": "room"}, NOTHING),
    ("signal", {"cid": "room", "body": 1}, (NM, NM, NA, "nothing", "nothing")),
]
ROWS = pytest.mark.parametrize(
    ("kind", "fields", "expected"), TABLE, ids=[f"{n} {row[0]}" for n, row in enumerate(TABLE)]
)
REFUSALS = {"not_a_member", "not_allowed", "invalid", "bad_request", "unsupported", "4401"}


def test_every_frame_has_a_row() -> None:
    assert {row[0] for row in TABLE} == KNOWN_TYPES


async def heard_for(wire: Wire, kind: str, fields: dict[str, Any], wanted: str) -> str:
    """Say it and wait for what is wanted; what was heard instead where that is an error or a close."""
    await wire.say(kind, **fields, rid="asked")
    if wanted == "4401":
        code, reason = await wire.closed()
        assert reason == "token_invalid"
        return str(code)
    if wanted == "nothing":
        errors = [frame for frame in await wire.heard(within=0.1) if frame["type"] == "error"]
        return errors[0]["code"] if errors else wanted
    if wanted in REFUSALS:
        await wire.error(wanted, rid="asked")
    else:
        await wire.hear(wanted)
        assert not wire.heard_so_far("error")
    return wanted


@ROWS
async def test_each_role_hears_what_the_table_says(
    furnished: LocalService, digest: Digest, kind: str, fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    for role, wanted in zip(ROLES, expected, strict=True):
        # From the start: what is heard anew is the room's two messages, for those who may read them. With them
        # comes what a role before has sent, where the node had forgotten the room in between and reads all of it.
        wire = await furnished.device(role, unnamed="all", max_backlog=100)
        if "room" in wire.rows:
            assert (await wire.hear("messages", cid="room", after=0))["upto"] in (2, wire.rows["room"]["head"])
        await wire.heard(within=0.05)
        before = digest()

        assert await heard_for(wire, kind, fields, wanted) == wanted, role

        if wanted in REFUSALS:
            assert digest() == before, f"a frame that was refused to {role} left a trace"
        if role in ("stranger", "former"):
            assert_heard_nothing_of_the_room(wire)
        await wire.leave()


def assert_heard_nothing_of_the_room(wire: Wire) -> None:
    heard = str(wire.kept) + str(wire.rows)
    for secret in (WORDS, TITLE, QUIET_MEMBER):
        assert secret not in heard


@ROWS
async def test_before_hello_nothing_is_taken(
    furnished: LocalService, kind: str, fields: dict[str, Any], expected: tuple[str, ...]
) -> None:
    wire = await furnished.wire()

    await wire.say(kind, **fields)

    code, _ = await wire.closed()
    assert code == (4401 if kind == "hello" else 4400)  # this hello brings no token


async def test_no_forged_token_opens_a_session_in_hello(furnished: LocalService, digest: Digest) -> None:
    before = digest()

    for name, token in FORGED.items():
        wire = await furnished.wire()
        await wire.say("hello", device="phone", token=token)

        # A frame that large is not read at all before somebody is known.
        refused = (4413, None) if len(token) > 16 * 1024 else (4401, REASONS[name])
        code, reason = await wire.closed()
        assert (code, reason if code == 4401 else None) == refused, name
        assert not wire.heard_so_far("welcome")
    assert digest() == before


async def test_no_forged_token_opens_a_session_at_the_upgrade(furnished: LocalService) -> None:
    for name, token in FORGED.items():
        if name == "huge":
            continue  # no server reads a header that large
        wire = await furnished.wire(Authorization=f"Bearer {token}")
        # What it says at once must not be taken while its token is being looked at, nor after.
        with contextlib.suppress(ConnectionClosed):
            await wire.say("hello", device="phone")
        assert await wire.closed() == (4401, REASONS[name]), name
        assert not wire.heard_so_far("welcome")


@pytest.mark.parametrize("key", [API_KEY, "not-an-api-key"], ids=["server key", "wrong server key"])
async def test_a_servers_key_opens_no_session(furnished: LocalService, key: str) -> None:
    at_the_upgrade = await furnished.wire(X_API_Key=key)
    await at_the_upgrade.say("hello", device="phone")
    in_hello = await furnished.wire()
    await in_hello.say("hello", device="phone", token=key)

    for wire in (at_the_upgrade, in_hello):
        assert await wire.closed() == (4401, "token_invalid")


async def test_a_token_in_the_query_opens_nothing_unless_the_settings_allow_it(furnished: LocalService) -> None:
    wire = await furnished.wire(f"?token={token_of(MEMBER)}")

    await wire.say("hello", device="phone")

    assert await wire.closed() == (4401, "token_invalid")


async def test_hello_cannot_change_the_user_of_the_upgrade(furnished: LocalService) -> None:
    wire = await furnished.wire(Authorization=f"Bearer {token_of('stranger')}")

    await wire.say("hello", device="phone", token=token_of(MEMBER))

    assert await wire.closed() == (4401, "token_invalid")


async def test_a_fresh_token_of_the_same_user_is_taken(furnished: LocalService) -> None:
    wire = await furnished.device(MEMBER)

    await wire.say("auth", token=token_of(MEMBER))
    await wire.say("ping", t=1)

    await wire.hear("pong", t=1)
    assert not wire.heard_so_far("error")
