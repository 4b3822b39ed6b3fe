"""Who gets a session, what ends one, and with which close code."""

from __future__ import annotations

import asyncio
import time

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from pushpull.delivery import liveness
from pushpull.delivery import session as protocol
from pushpull.node.listing import Listing
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of

EVIL = "http://evil.example"


async def test_the_same_user_and_device_opens_another_and_the_older_goes(service: LocalService) -> None:
    old = await service.device("bob", "phone")
    other_device = await service.device("bob", "laptop")
    same_name_of_another = await service.device("alice", "phone")

    new = await service.device("bob", "phone")

    assert (await old.closed())[0] == 4409
    for wire in (new, other_device, same_name_of_another):
        await wire.say("ping", t=1)
        await wire.hear("pong", t=1)


async def test_past_sessions_per_user_the_oldest_goes(serve: Serve) -> None:
    service = await serve(limits={"sessions_per_user": 2})
    wires = [await service.device("bob", name) for name in ("one", "two", "three")]

    assert (await wires[0].closed())[0] == 4409
    listed = (await service.server.get("/v1/users/bob/sessions")).json()["sessions"]
    assert [row["device"] for row in listed] == ["two", "three"]


async def test_a_kicked_session_is_not_allowed_back_on_that_connection(service: LocalService) -> None:
    phone, laptop = await service.device("bob", "phone"), await service.device("bob", "laptop")
    listed = (await service.server.get("/v1/users/bob/sessions")).json()["sessions"]
    session = next(row["id"] for row in listed if row["device"] == "phone")

    assert (await service.server.delete(f"/v1/users/bob/sessions/{session}")).status_code == 204
    assert (await phone.closed())[0] == 4403
    assert (await service.server.delete("/v1/users/bob/sessions")).status_code == 204
    assert (await laptop.closed())[0] == 4403


async def test_revoked_tokens_end_their_sessions_and_are_refused(service: LocalService) -> None:
    now = int(time.time())
    stale = token_of("bob", iat=now - 100)
    old, new = await service.wire(), await service.device("bob", "laptop")
    await old.greet(token=stale)

    revoked = await service.server.put("/v1/users/bob/revoked_before", json={"ts": now - 50})
    assert revoked.status_code == 200

    assert await old.closed() == (4401, "token_revoked")
    again = await service.wire()
    await again.say("hello", device="phone", token=stale)
    assert await again.closed() == (4401, "token_revoked")
    over_http = await service.anybody(Authorization=f"Bearer {stale}").get("/v1/users/me/conversations")
    assert (over_http.status_code, over_http.json()["reason"]) == (401, "token_revoked")
    await new.say("ping")
    await new.hear("pong")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, "token_invalid"),
        ("", "token_invalid"),
        ("garbage", "token_invalid"),
        (jwt.encode({"sub": "bob"}, "another-secret-of-at-least-32-bytes", "HS256"), "token_invalid"),
        (jwt.encode({"sub": "bob"}, "", "none"), "token_invalid"),
        (token_of("bob", sub=None), "token_invalid"),
        (token_of("bob with blanks"), "token_invalid"),
        (token_of("bob", exp=1_700_000_000), "token_expired"),
    ],
)
async def test_a_bad_token_is_told_in_the_close_and_not_repeated(
    service: LocalService, token: str | None, reason: str
) -> None:
    in_hello = await service.wire()
    await in_hello.say("hello", device="phone", **({} if token is None else {"token": token}))
    assert await in_hello.closed() == (4401, reason)
    if token:
        at_upgrade = await service.wire(Authorization=f"Bearer {token}")
        assert await at_upgrade.closed() == (4401, reason)


async def test_a_token_at_the_upgrade_needs_none_in_hello(service: LocalService) -> None:
    wire = await service.wire(Authorization=f"Bearer {token_of('bob')}")

    assert (await wire.greet())["user"] == "bob"


async def test_a_token_that_expires_ends_the_session_unless_it_is_renewed(service: LocalService) -> None:
    soon = time.time() + 1
    lapsing, renewing, stranger = [await service.wire() for _ in range(3)]
    await lapsing.greet(token=token_of("bob", exp=soon), device="lapsing")
    welcome = await renewing.greet(token=token_of("bob", exp=soon), device="renewing")
    await stranger.greet(token=token_of("bob", exp=soon), device="stranger")
    assert welcome["expires_at"] == int(soon * 1000)

    await renewing.say("auth", token=token_of("bob"))
    await stranger.say("auth", token=token_of("alice"))

    assert await stranger.closed() == (4401, "token_invalid")
    assert await lapsing.closed() == (4401, "token_expired")
    await asyncio.sleep(max(0.0, soon + 1.2 - time.time()))
    await renewing.say("ping", t=1)
    await renewing.hear("pong", t=1)


async def test_no_hello_in_time_ends_the_connection(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HELLO_S", 0.1)
    wire = await service.wire()

    assert (await wire.closed())[0] == 4408


async def test_a_quiet_connection_is_pinged_and_a_dead_one_let_go(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(liveness, "SILENCE_S", 1.5)
    wire = await service.device("bob")

    await wire.hear("ping")

    assert (await wire.closed())[0] == 4408


@pytest.mark.parametrize("first", ['{"type":"ping"}', '{"type":"send","cid":"c","cmid":"m","body":1}', "hello?", "[]"])
async def test_the_first_frame_is_hello_or_the_last(service: LocalService, first: str) -> None:
    wire = await service.wire()
    await wire.say_text(first)

    assert (await wire.closed())[0] == 4400


async def test_whoever_talks_on_while_its_list_is_read_for_long_is_asked_to_come_again(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_for_ever(*args: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Listing, "page", read_for_ever)
    wire = await service.wire()
    await wire.say("hello", device="phone", token=token_of("bob"))
    await wire.hear("welcome")

    for number in range(257):
        await wire.say("send", cid="room", cmid=str(number), body=number)

    assert (await wire.closed())[0] == 1013


@pytest.mark.parametrize(
    "hello",
    [{"device": ""}, {"device": "x" * 129}, {"positions": {"c": "5"}}, {"max_backlog": -1}, {"unnamed": "some"}],
)
async def test_a_hello_that_cannot_be_meant_is_refused(service: LocalService, hello: dict[str, object]) -> None:
    wire = await service.wire()
    await wire.say("hello", **{"device": "phone", "token": token_of("bob"), **hello})

    code, reason = await wire.closed()

    assert code == 4400
    assert reason


async def test_a_frame_over_the_limit_ends_the_session(serve: Serve) -> None:
    service = await serve(limits={"frame_bytes": 2_048, "body_bytes": 1_024})
    await service.room("room", "bob")
    bob, unknown = await service.device("bob"), await service.wire()

    await bob.say("send", cid="room", cmid="c", body="x" * 3_000)
    assert (await bob.closed())[0] == 4413
    await unknown.say("hello", device="phone", token=token_of("bob"), padding="x" * 17_000)
    assert (await unknown.closed())[0] == 4413


async def test_an_authenticated_upgrade_may_say_a_long_hello(service: LocalService) -> None:
    wire = await service.wire(Authorization=f"Bearer {token_of('bob')}")
    positions = {f"conversation-{number:05}": "1-1" for number in range(10_000)}

    await wire.greet(positions=positions)

    left = {(await wire.hear("conversation", change="left"))["cid"] for _ in positions}
    assert left == positions.keys()


async def test_a_binary_frame_ends_the_session(service: LocalService) -> None:
    bob = await service.device("bob")
    await bob.say_text(b'{"type":"ping"}')

    assert (await bob.closed())[0] == 4400


async def test_a_page_of_another_origin_is_refused_at_the_upgrade(service: LocalService) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await service.wire(Origin=EVIL)
    await (await service.wire(Origin=service.url)).greet(token=token_of("bob"))


async def test_configured_origins_may_connect_and_no_other(serve: Serve) -> None:
    service = await serve(server={"origins": ("https://app.example",)})

    await (await service.wire(Origin="https://app.example")).greet(token=token_of("bob"))
    with pytest.raises(InvalidStatus, match="403"):
        await service.wire(Origin=EVIL)


async def test_a_token_in_the_address_counts_only_where_the_settings_allow_it(serve: Serve) -> None:
    path = f"?token={token_of('bob')}"
    refused = await (await serve()).wire(path)
    await refused.say("hello", device="phone")
    assert await refused.closed() == (4401, "token_invalid")

    allowed = await (await serve(server={"token_in_query": True})).wire(path)
    assert (await allowed.greet())["user"] == "bob"


async def test_a_ping_is_answered_with_its_own_t(service: LocalService) -> None:
    bob = await service.device("bob")
    for t in (1, 1.5, "now"):
        await bob.say("ping", t=t, rid="r")
        assert await bob.hear("pong") == {"type": "pong", "t": t, "rid": "r"}
    await bob.say("ping")
    assert await bob.hear("pong") == {"type": "pong"}


async def test_a_full_node_refuses_the_next_connection(serve: Serve) -> None:
    service = await serve(limits={"connections": 1})
    bob = await service.device("bob")

    assert (await (await service.wire()).closed())[0] == 1013
    await bob.leave()
    await asyncio.wait_for(service.node.parts.peers.empty.wait(), 5)
    await service.device("bob")
