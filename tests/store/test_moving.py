"""Conversations that are taken out and brought in again: equal on every kind of server, however often it is begun."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from pushpull.errors import BadRequest, Invalid, LimitReached, NoSuchConversation, RateLimited, StoreUnavailable
from pushpull.model import Cid, MovedMessage, Role, Uid
from pushpull.node import moving
from pushpull.node.importing import BATCH_LINES, Imported, Importing
from pushpull.node.moving import Moving
from pushpull.settings import Limits, Settings
from pushpull.settings import Redis as RedisSettings
from pushpull.store import CursorMove, RowRequest, Store
from pushpull.store.exchange import Barrier
from pushpull.store.imports import KEPT_S
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send, sent

COPY = Cid("copy")
DAVE = Uid("dave")
LINES = 300  # of a log that goes in two batches

Lines = list[bytes]


async def furnish(store: Store, client: Any) -> None:
    """All that a log may hold: quiet ones, mentions, edits, redactions, retention, strangers, who left, preferences."""
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])
    for n in range(1, 6):
        await send(store, f"old{n}", quiet=n == 2)
    await send(store, "m6", body=b'{ "text":"first"}', mentions=("bob", "zoe"))
    await send(store, "m7", body=b'{\n "text": 1.0}', sender=BOB)
    await send(store, "m8", sender=None, own=False, kind="sys.note")
    await send(store, "m9", sender=Uid("stranger"), own=False, ref=7)
    await send(store, "m10", quiet=True)
    await send(store, "e11", kind="edit", ref=6, quiet=True, body=b'"second"')
    await send(store, "e12", kind="edit", ref=6, quiet=True, body=b'"third"')
    await send(store, "r13", kind="reaction", ref=7, quiet=True, sender=BOB)
    await send(store, "m14", mentions=("*",), sender=DAVE)
    await send(store, "e15", kind="edit", ref=14, quiet=True, sender=DAVE)
    await send(store, "redact:14", kind="redact", ref=14, quiet=True, sender=None, own=False)
    await send(store, "redact:10", kind="redact", ref=10, quiet=True, sender=None, own=False)
    await store.members.remove(ROOM, [DAVE])
    await store.members.add(ROOM, [(Uid("late"), Role.MEMBER)])
    await send(store, "m18")
    await store.conversations.put(ROOM, {"retain_messages": 14, "data": {"title": "Tea"}, "history": "joined"})
    await store.sweeper.sweep(ROOM)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered="9", read="7"), CursorMove(uid=CAROL, read="12")]})
    await store.absences.prefer(ROOM, BOB, notify="mentions", mute_until=5)


async def exported(store: Store, cid: Cid = ROOM) -> Lines:
    pieces = [piece async for piece in await Moving(store, Limits()).export(cid)]
    return b"".join(pieces).splitlines(keepends=True)


async def pieces_of(lines: Sequence[bytes], size: int = 1000) -> AsyncIterator[bytes]:
    text = b"".join(lines)
    for at in range(0, len(text), size):
        yield text[at : at + size]


async def bring_in(store: Store, lines: Sequence[bytes], cid: Cid = COPY, **limits: int) -> Imported:
    return await Importing(store.imports, cid, Limits(**limits), lambda given: given).run(pieces_of(lines))


def as_values(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """The lines without what differs in every export: cid, epoch, and the checksum of all."""
    found = [json.loads(line) for line in lines]
    for name, line in (("cid", found[0]), ("epoch", found[0]), ("sha256", found[-1])):
        del line[name]
    return found


def file_of(count: int, *, members: Sequence[str] = ("ann",), ts: int | None = None, **last: Any) -> Lines:
    """A file such as another system writes."""
    at = int(time.time() * 1000) if ts is None else ts
    lines: list[dict[str, Any]] = [{"type": "conversation", "format": 1}]
    lines += [{"type": "message", "ts": at, "from": "ann", "cmid": f"c{n}", "body": n} for n in range(1, count + 1)]
    lines += [{"type": "member", "user": user} for user in members]
    return ended([json.dumps(line).encode() + b"\n" for line in lines], messages=count, members=len(members), **last)


def ended(lines: Lines, **counts: int) -> Lines:
    sha256 = hashlib.sha256(b"".join(lines)).hexdigest()
    return [*lines, json.dumps({"type": "end", "sha256": sha256, **counts}).encode()]


async def test_an_export_says_what_was_sent_what_it_says_now_and_what_is_gone(store: Store, client: Redis) -> None:
    await furnish(store, client)

    first, *lines, bob, _, _, _, end = (json.loads(line) for line in await exported(store))

    assert (first["head"], first["floor"], first["count"]) == (18, 5, 10)
    assert first["settings"] == {"retain_messages": 14, "data": {"title": "Tea"}, "history": "joined"}
    assert [line["seq"] for line in lines] == list(range(5, 19))
    edited = lines[1]
    assert (edited["body"], edited["edited"]["body"], edited["edited"]["seq"]) == ({"text": "first"}, "third", 12)
    assert lines[2]["body_text"] == '{\n "text": 1.0}'
    gone = [line for line in lines if line["type"] == "redacted"]
    assert [(line["seq"], line.get("quiet", False)) for line in gone] == [(10, True), (14, False), (15, True)]
    assert (bob["user"], bob["role"]) == ("alice", "member")
    assert (end["messages"], end["redacted"], end["members"]) == (11, 3, 4)


async def test_what_is_brought_in_is_what_was_taken_out(store: Store, client: Redis) -> None:
    await furnish(store, client)
    lines = await exported(store)

    done = await bring_in(store, lines)

    assert (done.made, done.head, done.added) == (True, 18, len(lines) - 2)
    assert as_values(await exported(store, COPY)) == as_values(lines)
    log, copy = [(await store.log.read(cid, after=0)).entries for cid in (ROOM, COPY)]
    assert copy == log
    for user in (ALICE, BOB, CAROL, Uid("late")):
        (row,), (copied,) = [await store.conversations.rows(user, [RowRequest(cid)]) for cid in (ROOM, COPY)]
        assert row is not None
        assert copied is not None
        for name in ("role", "joined", "delivered", "read", "unread", "mentions", "start", "prefs"):
            assert getattr(copied, name) == getattr(row, name), (user, name)
        assert (await store.conversations.listed(user))[0] == [COPY, ROOM]


async def test_a_deletion_finds_who_is_named_in_what_was_brought_in(store: Store, client: Redis) -> None:
    await furnish(store, client)
    await bring_in(store, await exported(store))

    for user in ("stranger", "zoe", "alice", "bob"):
        assert await store.erasure.naming(Uid(user), [COPY]) == [COPY], user
    assert await store.erasure.naming(Uid("nobody"), [COPY]) == []


async def test_a_retry_of_a_message_that_was_brought_in_is_a_duplicate(store: Store, client: Redis) -> None:
    log_id = await send(store, "m1")
    await bring_in(store, await exported(store))

    again = await sent(store, "m1", cid=COPY)
    fresh = await sent(store, "m2", cid=COPY)

    assert (again.id, again.dup) == (log_id, True)
    assert fresh.id.startswith("2-")
    assert not fresh.dup


async def test_an_older_cmid_is_not_kept(make_store: Callable[..., Store], client: Redis) -> None:
    store = make_store(window_s=60)
    await bring_in(store, file_of(2, ts=int(time.time() * 1000) - 600_000))
    assert not [key for key in await client.keys("pp:{c:copy}:*") if b"cmid" in key]


async def test_a_log_that_was_brought_in_goes_on(store: Store, client: Redis) -> None:
    await bring_in(store, file_of(3, ts=5))
    assert (await send(store, "next", cid=COPY, sender=Uid("ann"))).startswith("4-")
    page = await store.log.read(COPY, after=0)
    assert [(entry.seq, entry.cmid) for entry in page.entries] == [(1, "c1"), (2, "c2"), (3, "c3"), (4, "next")]
    assert page.entries[0].ts == 5


async def test_nothing_of_it_is_there_before_all_of_it_is(store: Store, client: Redis) -> None:
    with pytest.raises(BadRequest, match="without an 'end'"):
        await bring_in(store, file_of(LINES)[:-1])

    with pytest.raises(NoSuchConversation):
        await store.conversations.head(COPY)
    assert await store.members.role(COPY, Uid("ann")) is None
    assert await store.conversations.listed(Uid("ann")) == ([], None)
    assert (await sent_refused(store)) == "no_such_conversation"


async def sent_refused(store: Store) -> str:
    with pytest.raises(NoSuchConversation) as refused:
        await sent(store, "x", cid=COPY)
    return refused.value.code


async def test_the_same_file_goes_on_where_it_was_cut_off(store: Store, client: Redis) -> None:
    lines = file_of(LINES, members=("ann", "bob"))
    with pytest.raises(BadRequest):
        await bring_in(store, lines[: BATCH_LINES + 50])
    with pytest.raises(BadRequest):
        await bring_in(store, lines[:-2])

    done = await bring_in(store, lines)

    assert (done.made, done.added, done.head) == (True, 1, LINES)
    assert as_values(await exported(store, COPY))[-1]["messages"] == LINES


async def test_a_file_that_was_brought_in_may_come_again_and_changes_nothing(store: Store, client: Redis) -> None:
    lines = file_of(3)
    await bring_in(store, lines)
    await send(store, "later", cid=COPY, sender=Uid("ann"))
    await client.zrem("pp:{u:ann}:conversations", "copy")  # as if the node had died before the lists were written

    again = await bring_in(store, lines)

    assert (again.made, again.added, again.head) == (False, 0, 3)
    assert (await store.conversations.head(COPY)).seq == 4
    assert await store.conversations.listed(Uid("ann")) == ([COPY], None)


async def test_another_file_is_refused_where_a_conversation_is(store: Store, client: Redis) -> None:
    with pytest.raises(Invalid, match="conversation room exists"):
        await bring_in(store, file_of(3), ROOM)
    await bring_in(store, file_of(3, ts=1))
    with pytest.raises(Invalid, match="conversation copy exists"):
        await bring_in(store, file_of(3, ts=2))


async def test_a_conversation_that_is_made_meanwhile_stays_as_it_is(store: Store, client: Redis) -> None:
    lines = file_of(3)
    with pytest.raises(BadRequest):
        await bring_in(store, lines[:-1])
    await store.conversations.put(COPY, {}, members=[(BOB, Role.MEMBER)])

    with pytest.raises(Invalid, match="conversation copy exists"):
        await bring_in(store, lines)

    head = await store.conversations.head(COPY)
    assert (head.seq, head.members) == (0, 1)


async def test_another_first_line_is_another_file(store: Store, client: Redis) -> None:
    lines = file_of(3)
    with pytest.raises(BadRequest):
        await bring_in(store, lines[:2])
    other = [b'{"type":"conversation","format":1,"cid":"x"}\n', *lines[1:]]
    with pytest.raises(Invalid, match="another file is on its way into copy"):
        await bring_in(store, other)

    await store.imports.give_up(COPY)
    assert (await bring_in(store, ended(other[:-1], messages=3, members=1))).made
    with pytest.raises(NoSuchConversation, match="no import of copy"):
        await store.imports.give_up(COPY)


async def test_an_import_that_begins_at_once_after_one_was_given_up_is_another(store: Store) -> None:
    numbers = set()
    for _ in range(30):
        numbers.add((await store.imports.begin(COPY, "file", floor=1)).number)
        await store.imports.give_up(COPY)

    assert len(numbers) == 30


async def test_what_was_given_up_leaves_nothing_in_what_comes_after_it(store: Store, client: Redis) -> None:
    with pytest.raises(BadRequest):
        await bring_in(store, file_of(3, members=("ann", "bob"))[:-1])
    await store.imports.give_up(COPY)

    await bring_in(store, file_of(1, members=("carol",)))

    assert not (await sent(store, "c2", cid=COPY, sender=Uid("ann"), own=False)).dup
    assert [row.user for row in await store.members.page(COPY)] == ["carol"]


@pytest.mark.parametrize(
    ("change", "at"), [(b'"body": 2', 3), (b'"cmid": "c2"', 3), (b'"from": "ann"', 3), (b'"user": "ann"', 5)]
)
async def test_a_line_that_is_not_what_was_stored_before_is_named(
    store: Store, client: Redis, change: bytes, at: int
) -> None:
    lines = file_of(3)
    with pytest.raises(BadRequest):
        await bring_in(store, lines[:-1])
    lines[at - 1] = lines[at - 1].replace(change, change[:-1] + b"9" + change[-1:])

    with pytest.raises(Invalid, match=f"line {at}: not what was stored"):
        await bring_in(store, lines)


async def test_what_comes_before_a_bad_line_is_kept(store: Store, client: Redis) -> None:
    lines = file_of(3)
    bad = [*lines[:3], b'{"type":"message"}\n', *lines[4:]]
    with pytest.raises(Invalid, match=r"^line 4: ts None"):
        await bring_in(store, bad)

    assert (await bring_in(store, lines)).added == 2  # a message, a member


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([{"kind": "edit", "ref": 1, "from": "bob"}], "line 3: an edit by another"),
        ([{"kind": "redact", "ref": 1}], "line 3: a redaction of a message that stands"),
        ([{"type": "redacted"}, {"kind": "edit", "ref": 2, "from": "ann"}], "line 4: an edit of a message that is not"),
        (
            [{"kind": "reaction", "ref": 1, "from": "ann"}, {"kind": "edit", "ref": 2, "from": "ann"}],
            "line 4: an edit of an edit, a reaction or a redaction",
        ),
    ],
)
async def test_what_cannot_refer_to_that_is_named(
    store: Store, client: Redis, lines: list[dict[str, Any]], says: str
) -> None:
    named = [{"type": "message", "ts": 5, "body": 1} | line for line in lines]
    for line in named:
        if line["type"] == "redacted":
            del line["body"], line["ts"]
    file = [*file_of(1, ts=5)[:2], *(json.dumps(line).encode() + b"\n" for line in named)]
    with pytest.raises(Invalid, match=says):
        await bring_in(store, file)


async def test_a_member_that_is_named_twice_is_named_in_the_error(store: Store, client: Redis) -> None:
    with pytest.raises(Invalid, match="line 4: this member is named before"):
        await bring_in(store, file_of(1, members=("ann", "ann")))


async def test_an_import_whose_beginning_was_lost_says_so(store: Store, client: Redis) -> None:
    under_way = await store.imports.begin(COPY, "file", floor=1)
    await client.hset("pp:{c:copy}:import", "seq", 7)  # as after a failover that brought back an earlier state
    importing = Importing(store.imports, COPY, Limits(), lambda given: given)
    importing._under_way, importing._stored = under_way, 8
    with pytest.raises(StoreUnavailable, match="not all there: send it again"):
        await importing._store([MovedMessage(seq=9, ms=5, id=None, draft=None, quiet=False)])


async def test_a_member_whose_list_is_full_is_named_before_anything_is_made(
    make_store: Callable[..., Store], client: Redis
) -> None:
    store = make_store(conversations_per_user=1)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    with pytest.raises(LimitReached, match="user alice is in 1 conversations"):
        await bring_in(store, file_of(1, members=("ann", "alice")))
    with pytest.raises(NoSuchConversation):
        await store.conversations.head(COPY)


async def test_what_nobody_goes_on_with_expires(store: Store, client: Redis) -> None:
    with pytest.raises(BadRequest):
        await bring_in(store, file_of(LINES)[:-1])
    keys = await client.keys("pp:{c:copy}:*")
    assert len(keys) >= 6
    for key in keys:
        assert KEPT_S * 1000 - 60_000 < await client.pttl(key) <= KEPT_S * 1000, key


async def test_what_was_brought_in_stays(store: Store, client: Redis) -> None:
    await furnish(store, client)
    await bring_in(store, await exported(store))
    keys = await client.keys("pp:{c:copy}:*")
    assert not [key for key in keys if b"import" in key]
    assert {key for key in keys if await client.pttl(key) != -1} == {key for key in keys if b"cmid" in key}


async def test_a_conversation_without_messages_moves(store: Store, client: Redis) -> None:
    await store.conversations.put(Cid("empty"), {"mode": "push"}, members=[(ALICE, Role.READER)])
    lines = await exported(store, Cid("empty"))
    assert (await bring_in(store, lines)).head == 0
    assert as_values(await exported(store, COPY)) == as_values(lines)


async def test_a_log_of_which_retention_took_everything_moves(store: Store, client: Redis) -> None:
    ids = [await send(store, f"m{n}") for n in range(3)]
    await store.conversations.put(ROOM, {"retain_days": 1})
    await store.sweeper.sweep(ROOM, now_ms=int(time.time() * 1000) + 3 * 86_400_000)
    lines = await exported(store)

    await bring_in(store, lines)

    head = await store.conversations.head(COPY)
    assert (head.last_id, head.floor, head.count) == (ids[-1], 4, 3)
    assert as_values(await exported(store, COPY)) == as_values(lines)


async def test_an_export_ends_at_the_head_it_began_at(store: Store, client: Redis) -> None:
    await send(store, "m1")
    export = await Moving(store, Limits()).export(ROOM)
    lines = [await anext(export)]
    await send(store, "e2", kind="edit", ref=1, quiet=True)
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, read="2")]})
    lines += [piece async for piece in export]

    found = [json.loads(line) for line in b"".join(lines).splitlines()]

    assert [line["type"] for line in found] == ["conversation", "message", "member", "member", "member", "end"]
    assert "edited" not in found[1]
    assert {line["user"]: line["read"] for line in found[2:5]} == {"alice": 1, "bob": 1, "carol": 0}
    await bring_in(store, lines)


async def test_an_edit_before_the_export_is_not_hidden_by_one_after_it(store: Store, client: Redis) -> None:
    await send(store, "m1")
    await send(store, "e2", kind="edit", ref=1, quiet=True, body=b'"before"')
    export = await Moving(store, Limits()).export(ROOM)
    first = await anext(export)
    await send(store, "e3", kind="edit", ref=1, quiet=True, body=b'"after"')

    lines = (first + b"".join([piece async for piece in export])).splitlines()

    assert json.loads(lines[1])["edited"]["body"] == "before"


async def test_retention_that_is_faster_than_an_export_is_told_in_it(store: Store, client: Redis) -> None:
    for n in range(1, 9):
        await send(store, f"m{n}")
    export = await Moving(store, Limits()).export(ROOM)
    first = await anext(export)
    await store.conversations.put(ROOM, {"retain_messages": 3})
    await store.sweeper.sweep(ROOM)
    lines = [first, *[piece async for piece in export]]

    done = await bring_in(store, lines)

    assert json.loads(b"".join(lines).splitlines()[1]) == {"type": "floor", "floor": 6}
    head = await store.conversations.head(COPY)
    assert (done.head, head.floor, head.count) == (8, 6, 8)
    assert [entry.seq for entry in (await store.log.read(COPY, after=0)).entries] == [6, 7, 8]


async def test_an_export_that_cannot_go_on_says_why_and_is_not_taken_in(store: Store, client: Redis) -> None:
    await send(store, "m1")
    export = await Moving(store, Limits()).export(ROOM)
    lines = [await anext(export)]
    await store.conversations.delete(ROOM)
    lines += [piece async for piece in export]

    assert json.loads(lines[-1])["error"]["code"] == "no_such_conversation"
    with pytest.raises(Invalid, match="the export that wrote this file failed with no_such_conversation"):
        await bring_in(store, lines)


async def test_a_log_that_became_another_one_meanwhile_is_not_mixed_with_it(store: Store, client: Redis) -> None:
    await send(store, "m1")
    export = await Moving(store, Limits()).export(ROOM)
    await anext(export)
    await store.log.move_epoch(ROOM, (await store.conversations.head(ROOM)).epoch)
    (line,) = [piece async for piece in export]
    assert json.loads(line)["error"]["code"] == "store_unavailable"


async def test_no_more_than_a_few_are_under_way_on_a_node(real_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "AT_ONCE", 1)
    node = Moving(real_store, Limits())
    export = await node.export(ROOM)
    await anext(export)
    with pytest.raises(RateLimited, match="1 exports are under way"):
        await node.export(ROOM)
    assert [piece async for piece in export]
    assert [piece async for piece in await node.export(ROOM)]


async def test_it_is_made_once_it_is_confirmed_as_the_durability_asks(real_store: Store, redis_url: str) -> None:
    client = Redis.from_url(redis_url, protocol=2)
    nobody = Barrier(("WAIT", 1, 20), lambda reply: int(reply) >= 1, "stored, not known to be replicated")
    doubting = Store(client, Settings(redis=RedisSettings(prefix="pp:")), barrier=nobody)
    lines = file_of(3)

    with pytest.raises(StoreUnavailable, match="not known to be replicated"):
        await bring_in(doubting, lines)

    assert not (await bring_in(real_store, lines)).made
    await doubting.aclose()
    await client.aclose()
