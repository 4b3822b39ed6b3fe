"""A user with a rich life is deleted: nothing of it is left in Redis but what docs/deletion.md names, and nobody else
notices more than that messages were redacted."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pushpull.cli import main
from pushpull.model import Cid, Uid
from pushpull.node import deletions
from pushpull.store.jobs import shard_of
from pushpull.store.values import Look
from tests.e2e.conftest import ServeProcess
from tests.e2e.service import API_KEY, LocalService, Service, ServiceProcess, serving, settings_of, token_of
from tests.e2e.wire import Wire
from tests.receiver import SECRET, Receiver
from tests.servers import RedisCluster, RedisServer, wait_until
from tests.stray import holding

ZOE = "zoe-5d1c"
LEFT = {"{u:<uid>}:deletion", "{u:<uid>}:revoked"}
"""The keys that still name a user who was deleted: docs/deletion.md says the same."""

ENDED_S = 30.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of this process look often, and have but a moment for ending sessions."""
    monkeypatch.setattr(deletions, "ROUND_S", 0.1)
    monkeypatch.setattr(deletions, "CLOSED_S", 0.3)


def left(servers: list[RedisServer], uid: str = ZOE) -> set[str]:
    """The keys that hold `uid` in their name or anywhere in their bytes, with `<uid>` for it."""
    return {key.replace(uid, "<uid>") for key in holding(servers, uid)}


async def ended(service: Service, uid: str = ZOE, state: str = "done") -> dict[str, Any]:
    """How the deletion stands when it has ended."""
    async with asyncio.timeout(ENDED_S):
        while True:
            stands: dict[str, Any] = (await service.server.get(f"/v1/users/{uid}/deletion")).json()
            if stands["state"] not in ("waiting", "running"):
                assert stands["state"] == state, stands
                return stands
            await asyncio.sleep(0.05)


async def let_go(server: RedisServer) -> None:
    """Wait until the node has taken the user, which it says is deleted, off its table of work."""
    async with asyncio.timeout(5):
        while server.ask("EXISTS", "deletions") == "1":
            await asyncio.sleep(0.01)


async def delete(service: Service, messages: str, uid: str = ZOE) -> dict[str, Any]:
    answer = await service.server.delete(f"/v1/users/{uid}?messages={messages}")
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


# ------------------------------------------------------------------------------------------------ a rich life


async def live(service: LocalService) -> Wire:
    """Zoe's life: all that is ever kept of a user is kept of her. Returns bob's device, which hears of its end."""
    others = ["bob", "carol"]
    for cid in ("team", "club", "shop"):
        await service.room(cid, ZOE, *others)
    await service.room("elsewhere", *others)
    zoe, bob = service.user(ZOE), service.user("bob")
    bobs = await service.device("bob", "bobs")
    phone = await service.device(ZOE, "zoes-phone", features=["receipts"])
    await service.device(ZOE, "zoes-tab")
    await talk_in(service, zoe, bob)
    await bob.put("/v1/conversations/team/cursors/me", json={"read": 2})
    await phone.hear("messages", cid="team", redelivery=1)  # not acked: it is sent again, and a row says so
    async with asyncio.timeout(5):
        while not await service.node.store.pending.rows(Cid("team"), user=Uid(ZOE)):
            await asyncio.sleep(0.02)
    await zoe.put("/v1/conversations/team/me", json={"notify": "mentions", "mute_until": 2_000_000_000_000})
    await service.server.post("/v1/conversations/shop/members", json={"add": [{"user": ZOE, "role": "moderator"}]})
    await service.remove("club", ZOE)
    await service.server.put(f"/v1/users/{ZOE}/revoked_before", json={"ts": 5})
    lost = await service.device(ZOE, "zoes-old")
    await service.server.delete(f"/v1/users/{ZOE}/sessions/{(await session_of(service, 'zoes-old'))['id']}")
    await lost.closed()
    return bobs


async def session_of(service: Service, device: str) -> dict[str, Any]:
    sessions = (await service.server.get(f"/v1/users/{ZOE}/sessions")).json()["sessions"]
    return next(one for one in sessions if one["device"] == device)


async def talk_in(service: Service, zoe: Any, bob: Any) -> None:
    for cid in ("team", "club"):
        path = f"/v1/conversations/{cid}/messages"

        async def say(who: Any, cmid: str, path: str = path, **fields: Any) -> None:
            answer = await who.post(path, json={"cmid": cmid, "body": f"said by {cmid}", **fields})
            assert answer.status_code == 201, answer.text

        await say(zoe, "z1")  # 1
        await say(bob, "b1", mentions=[ZOE, "carol"])  # 2
        await say(zoe, "z2", kind="reaction", ref=2)  # 3
        await say(zoe, "z3", kind="edit", ref=1)  # 4
        await say(zoe, "z4", mentions=["bob", "*"])  # 5
        await say(bob, "b2", mentions=[ZOE], kind="note", quiet=True)  # 6
        await say(bob, "b3", mentions=[ZOE])  # 7
        assert (await zoe.delete(f"{path}/5")).status_code == 200  # 8
    await service.post("elsewhere", "as zoe", sender=ZOE)
    await service.post("elsewhere", "about zoe", mentions=[ZOE])


async def be_owed(service: LocalService, receiver: Receiver) -> None:
    """A notification of hers is under way, and an earlier one was given up."""
    store, team = service.node.store, Cid("team")
    (look,) = await store.absences.look([team])
    assert isinstance(look, Look)
    claimed = await store.absences.claim(team, "event", look, look.absent)
    assert claimed is not None
    assert Uid(ZOE) in {owed.uid for owed in claimed.users}
    dead = store._keys.jobs(shard_of(team), "dead")
    await store._wire.command("XADD", dead, "*", "cid", team, "why", "503", "tries", 9, "at", 1)
    assert receiver.ids == []


async def others_see(service: Service) -> dict[str, Any]:
    """What is bob's and carol's in each conversation, but for heads, which redactions move."""
    seen: dict[str, Any] = {}
    for uid in ("bob", "carol"):
        rows = (await service.server.get(f"/v1/users/{uid}/conversations")).json()["conversations"]
        seen |= {f"{uid} {row['cid']}": {n: row[n] for n in ("delivered", "read", "unread", "count")} for row in rows}
        seen |= {f"{uid} {row['cid']} epoch": row["epoch"] for row in rows}
    return seen


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["one server", "cluster"])
async def ground(
    request: pytest.FixtureRequest, start_redis: Callable[..., RedisServer], start_cluster: Callable[..., RedisCluster]
) -> tuple[str, list[RedisServer]]:
    """A Redis of the test's own: its URL and its servers."""
    if request.param == "cluster":
        cluster = start_cluster(rdbcompression="no")
        return cluster.url, cluster.servers
    server = start_redis(appendonly=False, rdbcompression="no")
    return server.url, [server]


async def test_a_user_deleted_with_redact_is_found_nowhere_but_where_the_docs_say(
    ground: tuple[str, list[RedisServer]], receiver: Receiver
) -> None:
    url, servers = ground
    offline = {"webhook_url": receiver.url, "webhook_secret": SECRET, "delay_s": 60.0}
    settings = settings_of(offline=offline, delivery={"ack_wait_ms": 150, "max_deliver": 100})
    async with serving(settings, url) as service:
        bobs = await live(service)
        await be_owed(service, receiver)
        before = await others_see(service)
        kept_of = left(servers)
        assert {part.rpartition("}:")[2].partition(":")[0] for part in kept_of} == {
            *("log", "members", "delivered", "read", "mentions", "cmid", "pending", "prefs", "told", "claim", "past"),
            *("roles", "conversations", "sessions", "devices", "ended", "revoked"),
        }, "else this life is not rich enough"

        await delete(service, "redact")
        stands = await ended(service)
        for server in servers:
            await let_go(server)

        assert left(servers) == LEFT
        assert (stands["conversations"], stands["error"]) == ({"done": 4, "total": 4}, None)
        assert await others_see(service) == before
        await check_logs(service)
        await check_devices(service, bobs)


async def test_redis_files_forget_the_user_when_they_are_rewritten(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=True, rdbcompression="no")
    async with serving(settings_of(), server.url) as service:
        await service.room("team", ZOE, "bob")
        for n in range(3):
            await service.post("team", f"z{n}", "said by zoe", sender=ZOE)
            await service.post("team", f"b{n}", "said by bob", sender="bob", mentions=[ZOE])
        await delete(service, "redact")
        await ended(service)
        await let_go(server)
        assert b"said by zoe" in in_files(server)

        server.ask("BGREWRITEAOF")
        wait_until(lambda: b"said by zoe" not in in_files(server), "the append-only file is rewritten")

        named = re.findall(rb"[\w{}:]*" + ZOE.encode() + rb"[\w{}:]*", in_files(server))
        assert {name.decode().replace(ZOE, "<uid>") for name in named} == LEFT
        assert in_files(server).count(b"said by bob") == 3


def in_files(server: RedisServer) -> bytes:
    """All that the server has written to disk of its data."""
    return b"\n".join(path.read_bytes() for path in sorted((server.directory / "appendonlydir").iterdir()))


async def check_logs(service: LocalService) -> None:
    """What the others find in the logs: their own, and what says that the rest is gone."""
    for cid in ("team", "club", "elsewhere"):
        page = (await service.user("bob").get(f"/v1/conversations/{cid}/messages?after=0")).json()
        assert ZOE not in str(page)
        assert [item["seq"] for item in page["items"]] == sorted(item["seq"] for item in page["items"])
        if cid != "elsewhere":
            assert [(item["kind"], item.get("from"), item.get("ref")) for item in page["items"]] == [
                ("message", "bob", None),
                ("note", "bob", None),
                ("message", "bob", None),
                ("redact", None, 5),
                ("redact", None, 1),
                ("redact", None, 3),
            ]
            assert [item.get("mentions") for item in page["items"]][:3] == [["carol"], None, None]
    assert await service.post("team", "life goes on", sender="bob")


async def check_devices(service: LocalService, bobs: Wire) -> None:
    """A device that was there all the time hears of each redaction, and of nothing else; zoe's are let in no more."""
    everything = await bobs.heard(within=0.3)
    assert not [frame for frame in everything if frame["type"] in ("reset", "error")]
    heard = [frame for frame in everything if frame["type"] == "messages" and frame["cid"] == "team"]
    redacted = [item["ref"] for frame in heard for item in frame["items"] if item["kind"] == "redact"]
    assert sorted(set(redacted)) == [1, 3, 5]
    old, anew = (service.anybody(Authorization=f"Bearer {token_of(ZOE, iat=time.time() + s)}") for s in (-5, 5))
    refused = await old.get("/v1/users/me/conversations")
    assert (refused.status_code, refused.json()["reason"]) == (401, "token_revoked"), refused.text
    assert (await anew.get("/v1/users/me/conversations")).json()["conversations"] == []


async def test_with_keep_the_messages_stay_and_nothing_else(redis_url: str, redis_server: RedisServer) -> None:
    redis_server.ask("CONFIG", "SET", "rdbcompression", "no")
    settings = settings_of(delivery={"ack_wait_ms": 150, "max_deliver": 100})
    async with serving(settings, redis_url) as service:
        await live(service)
        before = (await service.user("bob").get("/v1/conversations/team/messages?after=0")).json()

        await delete(service, "keep")
        stands = await ended(service)
        await let_go(redis_server)

        assert (stands["messages"], stands["redacted"]) == ("keep", 0)
        logs = {"{c:team}:log", "{c:club}:log", "{c:elsewhere}:log"}
        assert left([redis_server]) == LEFT | logs
        assert (await service.user("bob").get("/v1/conversations/team/messages?after=0")).json() == before


async def test_a_deletion_can_be_asked_for_again_and_one_under_way_is_the_same(redis_url: str) -> None:
    async with serving(settings_of(), redis_url) as service:
        await service.room("team", ZOE, "bob")
        first = await delete(service, "redact")
        assert first["state"] in ("waiting", "running")
        second = await delete(service, "keep")
        assert (second["asked"], second["messages"]) == (first["asked"], "redact")
        await ended(service)

        await service.join("team", ZOE)
        again = await delete(service, "keep")
        assert (again["messages"], again["asked"] > first["asked"]) == ("keep", True)
        assert (await ended(service))["conversations"] == {"done": 1, "total": 1}


async def test_nobody_is_no_deletion(redis_url: str) -> None:
    async with serving(settings_of(), redis_url) as service:
        stands = (await service.server.get("/v1/users/nobody/deletion")).json()
        assert (stands["state"], stands["messages"], stands["asked"]) == ("none", None, None)
        await delete(service, "redact", "nobody")
        assert (await ended(service, "nobody"))["conversations"] == {"done": 0, "total": 0}


async def test_what_to_do_with_the_messages_must_be_said(redis_url: str) -> None:
    async with serving(settings_of(), redis_url) as service:
        for query, why in (("", "messages is not given"), ("?messages=burn", "messages 'burn' is unknown")):
            answer = await service.server.delete(f"/v1/users/{ZOE}{query}")
            assert answer.status_code == 422
            assert answer.json()["detail"] == f"{why}: expected keep or redact"


async def test_no_token_is_good_while_a_deletion_is_under_way(redis_url: str) -> None:
    async with serving(settings_of(), redis_url) as service:
        await service.node.store.presence.kick(Uid(ZOE))
        phone = await service.device(ZOE)
        await delete(service, "redact")
        await phone.closed()
        later = service.anybody(Authorization=f"Bearer {token_of(ZOE, iat=int(time.time()) + 8)}")
        assert (await later.get("/v1/users/me/conversations")).status_code == 401
        await ended(service)
        assert (await later.get("/v1/users/me/conversations")).status_code == 200


# ------------------------------------------------------------------------------------------------ a node that dies


async def test_another_node_goes_on_where_one_was_killed(
    serve_process: ServeProcess, talk: Callable[[ServiceProcess], Service], redis_server: RedisServer
) -> None:
    first = serve_process()
    redis_server.ask("CONFIG", "SET", "rdbcompression", "no")
    service = talk(first)
    cids = [f"c{n}" for n in range(15)]
    for cid in cids:
        await service.room(cid, ZOE, "bob")
    await service.server.post(
        "/v1/messages", json=[{"cid": cid, "cmid": f"{n}", "body": n, "from": ZOE} for cid in cids for n in range(5)]
    )
    await delete(service, "redact")
    async with asyncio.timeout(ENDED_S):
        while (await stands(service))["conversations"]["done"] < 2:
            await asyncio.sleep(0.02)
    first.kill()
    second = serve_process()
    redis_server.ask("ZADD", "deletions", "XX", "0", ZOE)  # as if ten seconds had passed: the lease has ended

    said = await ended(talk(second))
    await let_go(redis_server)

    assert said["conversations"] == {"done": 15, "total": 15}
    assert left([redis_server]) == LEFT
    assert 70 <= said["redacted"] <= 75, "a step whose answer was lost may not be counted"


async def stands(service: Service) -> dict[str, Any]:
    return dict((await service.server.get(f"/v1/users/{ZOE}/deletion")).json())


# ------------------------------------------------------------------------------------------------ the command, the docs


async def test_the_command_waits_for_the_end(redis_url: str) -> None:
    async with serving(settings_of(), redis_url) as service:
        await service.room("team", ZOE, "bob")
        await service.post("team", "m", sender=ZOE)
        words = ["--url", service.url, "--api-key", API_KEY]

        def run(*given: str) -> Any:
            return CliRunner().invoke(main, ["user", *given, *words])

        result = await asyncio.to_thread(run, "delete", ZOE, "--messages", "redact")
        assert (result.exit_code, result.stdout) == (0, f"{ZOE}: done; 1 conversations, 1 entries redacted\n")
        shown = await asyncio.to_thread(run, "deletion", ZOE)
        assert shown.stdout == f"{ZOE}: done, 1 of 1 conversations\n"
        assert (await asyncio.to_thread(run, "delete", ZOE)).exit_code == 2


def test_the_docs_name_the_keys_that_are_left() -> None:
    page = (Path(__file__).parents[2] / "docs" / "deletion.md").read_text()
    table = page.partition("## What stays")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\{u:<uid>\}:\w+)` \|", table, re.MULTILINE)) == LEFT
