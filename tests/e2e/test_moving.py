"""Conversations move between services: what their members see is the same, and those who are connected hear of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from pushpull.client import AsyncServer
from pushpull.errors import BadRequest, Invalid, TooLarge
from pushpull.web import arrivals, bodies
from tests.e2e.service import API_KEY, LocalService, Service, ServiceProcess, serving, settings_of
from tests.servers import RedisCluster, RedisServer

EXPORT, IMPORT = "/v1/conversations/room/export", "/v1/conversations/room/import"
MEMBERS = ("alice", "bob", "carol")


@pytest.fixture
async def here(redis_url: str) -> AsyncIterator[LocalService]:
    async with serving(settings_of(), redis_url) as service:
        yield service


@pytest.fixture(params=["redis", "cluster"])
async def elsewhere(
    request: pytest.FixtureRequest,
    start_redis: Callable[..., RedisServer],
    start_cluster: Callable[..., RedisCluster],
) -> AsyncIterator[LocalService]:
    """A service on a Redis of its own."""
    url = start_cluster(replicas=0).url if request.param == "cluster" else start_redis(appendonly=False).url
    async with serving(settings_of(), url) as service:
        yield service


async def furnish(service: LocalService) -> None:
    await service.room("room", *MEMBERS, {"user": "dora", "role": "reader"}, data={"title": "Tea"}, mode="push")
    await service.post_many("room", range(1, 30), sender="alice")
    await service.post("room", "m", sender="bob", mentions=["carol"])
    await service.post("room", "e", body="newer", sender="alice", kind="edit", ref=7)
    await service.server.delete("/v1/conversations/room/messages/9")
    await service.server.put("/v1/conversations/room/cursors/bob", json={"read": 12, "delivered": 20})
    await service.user("carol").put("/v1/conversations/room/me", json={"notify": "mentions"})


async def seen(service: LocalService) -> dict[str, Any]:
    """What of the room everybody sees; an epoch is its log's own."""
    found: dict[str, Any] = {}
    for path in ("", "/messages?after=0&limit=500", "/messages?limit=7", "/members", "/receipts/12"):
        found[path] = (await service.server.get(f"/v1/conversations/room{path}")).json()
    for user in MEMBERS:
        found[user] = await service.row(user, "room")
        found[f"{user}'s badge"] = (await service.server.get(f"/v1/users/{user}/unread")).json()
        del found[user]["epoch"]
    del found[""]["epoch"], found[""]["rate"]
    return found


async def test_what_is_seen_of_a_conversation_is_the_same_elsewhere(
    here: LocalService, elsewhere: LocalService
) -> None:
    await furnish(here)

    async with AsyncServer(here.url, API_KEY) as source, AsyncServer(elsewhere.url, API_KEY) as target:
        lines = [line async for line in source.export_conversation("room")]
        answer = await target.import_conversation("room", lines)
        again = [line async for line in target.export_conversation("room")]

    assert (answer["made"], answer["head"], answer["messages"], answer["redacted"]) == (True, 32, 31, 1)
    assert await seen(elsewhere) == await seen(here)
    assert again[1:-1] == lines[1:-1]
    first, copied = json.loads(lines[0]), json.loads(again[0])
    assert first.pop("epoch") != copied.pop("epoch")
    assert copied == first


@pytest.mark.parametrize("elsewhere", ["redis"], indirect=True)
async def test_a_device_that_is_connected_hears_of_it_once_and_goes_on_from_where_it_stood(
    here: LocalService, elsewhere: LocalService
) -> None:
    await furnish(here)
    text = (await here.server.get(EXPORT)).content
    position = json.loads(text.splitlines()[20])["id"]
    phone = await elsewhere.device("bob")

    await elsewhere.server.post(IMPORT, content=text)

    joined = await phone.hear("conversation", cid="room", change="joined")
    assert (joined["row"]["read"], joined["row"]["delivered"], joined["row"]["head"]) == (12, 20, 32)
    heard = await phone.heard(within=0.2)
    assert [frame["type"] for frame in heard if frame["type"] in ("conversation", "notice")] == []
    tablet = await elsewhere.device("bob", "tablet", positions={"room": position})
    assert tablet.rows["room"]["start"] == position
    await elsewhere.post("room", "next", sender="alice")
    assert (await tablet.hear("messages", upto=33))["items"][-1]["cmid"] == "next"


async def lines_slowly(count: int, pause_s: float) -> AsyncIterator[bytes]:
    yield b'{"type":"conversation","format":1}\n'
    for n in range(count):
        yield json.dumps({"type": "message", "ts": n, "body": n}).encode() + b"\n"
        await asyncio.sleep(pause_s)
    yield b'{"type":"member","user":"ann"}\n'
    yield json.dumps({"type": "end", "messages": count, "members": 1}).encode()


async def test_a_body_may_take_as_long_as_it_takes_while_it_gets_on(
    here: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("BODY_S", 0.3), ("CALL_S", 0.3), ("SWEEP_S", 0.05)):
        monkeypatch.setattr(arrivals, name, value)

    answer = await here.server.post(IMPORT, content=lines_slowly(10, 0.1))

    assert (answer.status_code, answer.json()["messages"]) == (201, 10)


async def test_a_body_that_does_not_get_on_is_given_up_and_goes_on_later(
    here: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.1)
    answer = await here.server.post(IMPORT, content=lines_slowly(2, 0.3))
    assert (answer.status_code, answer.json()["detail"]) == (400, "nothing of the request body came for 0 s")

    assert (await here.server.post(IMPORT, content=lines_slowly(2, 0))).json()["messages"] == 2


async def test_a_refusal_names_the_line_and_what_follows_needs_not_be_read(here: LocalService) -> None:
    text = b'{"type":"conversation","format":1}\n{"type":"message","ts":1}\n' + b" " * 4_000_000
    answer = await here.server.post(IMPORT, content=text)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["detail"] == "line 2: expected either 'body' or 'body_text'"
    assert (await here.server.get("/healthz")).status_code == 200


async def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(here: LocalService) -> None:
    async with AsyncServer(here.url, API_KEY) as server:
        with pytest.raises(TooLarge, match="line 1 is over the limit of"):
            await server.import_conversation("room", [b"x" * 100_000] * 20)


@pytest.mark.parametrize(
    ("first", "error", "says"),
    [
        ({"settings": {"mode": "loud"}}, Invalid, "line 1: settings.mode 'loud' is not one of"),
        ({"settings": {"colour": "red"}}, BadRequest, "line 1: settings: object contains unknown field `colour`"),
    ],
)
async def test_settings_of_a_file_are_checked_as_any_others(
    here: LocalService, first: dict[str, Any], error: type[Exception], says: str
) -> None:
    lines = [json.dumps({"type": "conversation", "format": 1} | first).encode()]
    async with AsyncServer(here.url, API_KEY) as server:
        with pytest.raises(error, match=says):
            await server.import_conversation("room", lines)


async def test_the_limits_of_messages_hold_for_lines_and_their_rates_do_not(redis_url: str) -> None:
    fits = [{"type": "message", "ts": n, "from": "ann", "body": "x" * 60} for n in range(400)]
    lines = [{"type": "conversation", "format": 1}, *fits, {"type": "end", "messages": 400}]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    too_large = text.replace(b'"body": "', b'"body": "1234567', 1)
    limits = {"body_bytes": 64, "conversation_sends_per_s": 1, "sends_per_s": 1}
    async with serving(settings_of(limits=limits), redis_url) as service:
        taken = await service.server.post(IMPORT, content=text)
        refused = await service.server.post("/v1/conversations/other/import", content=too_large)
    assert taken.status_code == 201
    assert (refused.status_code, refused.json()["detail"]) == (413, "line 2: body of 69 bytes is over the limit of 64")


async def test_an_import_goes_on_at_another_node_when_one_is_killed(
    serve_nodes: Callable[..., list[ServiceProcess]],
    talk: Callable[[ServiceProcess], Service],
    redis_server: RedisServer,
) -> None:
    first, second = serve_nodes(2)
    count, stored = 5_000, 0
    lines = [json.dumps({"type": "message", "ts": n, "from": "ann", "body": "x" * 100}).encode() for n in range(count)]
    lines = [b'{"type":"conversation","format":1}', *lines, b'{"type":"end","messages":%d}' % count]

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal stored
        for at in range(0, len(lines), 1000):
            yield b"\n".join(lines[at : at + 1000]) + b"\n"
            while at == 2000 and stored < 2000:
                stored = int(redis_server.ask("HGET", "{c:room}:import", "seq") or 0)
                await asyncio.sleep(0.01)
            if at == 2000:
                first.kill()

    with pytest.raises(httpx2.TransportError):
        await talk(first).server.post(IMPORT, content=pieces())
    done = (await talk(second).server.post(IMPORT, content=b"\n".join(lines))).json()

    assert (done["made"], done["head"], done["messages"]) == (True, count, count)
    assert done["added"] <= count - stored
    page = (await talk(second).server.get("/v1/conversations/room/messages?limit=1")).json()
    assert (page["items"][0]["seq"], page["items"][0]["ts"]) == (count, count - 1)
