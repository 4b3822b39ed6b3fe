"""Rates over a running service: of a user, a conversation, of frames; and a client that keeps its order under them."""

from __future__ import annotations

import asyncio
import time

import pytest

from pushpull.client import connect
from pushpull.delivery.codes import RATE_LIMITED
from pushpull.delivery.session import Session
from pushpull.model import seq_of
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.e2e.wire import Wire


async def order_in(service: LocalService, cid: str, count: int) -> list[object]:
    answer = await service.server.get(f"/v1/conversations/{cid}/messages?after=0&limit={count + 10}")
    return [item["body"] for item in answer.json()["items"]]


async def send_in_order(service: LocalService, count: int) -> tuple[float, list[int]]:
    """Alice's client is given `count` messages at once; how long until all are stored, and the seq of each."""
    async with connect(service.url, token=token_of("alice"), device="laptop") as chat:
        began = time.monotonic()
        sent = await asyncio.gather(*(chat.send("room", n) for n in range(count)))
        return time.monotonic() - began, [seq_of(one.id) for one in sent]


async def test_a_client_over_its_users_rate_slows_down_and_loses_and_reorders_nothing(serve: Serve) -> None:
    service = await serve(limits={"sends_per_s": 20})
    await service.room("room", "alice")

    seconds, seqs = await send_in_order(service, 125)

    assert seqs == list(range(1, 126))
    assert await order_in(service, "room", 125) == list(range(125))
    assert seconds >= 25 / 20 - 0.1  # 100 at once, the others at the rate


async def test_a_client_over_a_conversations_rate_slows_down_and_loses_and_reorders_nothing(serve: Serve) -> None:
    service = await serve()
    await service.room("room", "alice", sends_per_s=20)

    seconds, seqs = await send_in_order(service, 125)

    assert seqs == list(range(1, 126))
    assert await order_in(service, "room", 125) == list(range(125))
    assert seconds >= 25 / 20 - 0.1


async def test_a_client_over_its_frame_rate_loses_and_reorders_nothing(serve: Serve) -> None:
    service = await serve(limits={"frames_per_s": 10})
    await service.room("room", "alice")
    # Another device of hers uses up what she has, which the client does not know of.
    noisy = await service.device("alice", "noisy")
    for _ in range(45):
        await noisy.say("ping")

    _, seqs = await send_in_order(service, 20)

    assert seqs == list(range(1, 21))
    assert await order_in(service, "room", 20) == list(range(20))


async def test_devices_of_one_user_share_its_frame_rate(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await serve(limits={"frames_per_s": 20})
    closed: list[int] = []
    close = Session.close
    monkeypatch.setattr(Session, "close", lambda session, code, why: closed.append(code) or close(session, code, why))
    cids = [f"room{n}" for n in range(30)]
    for cid in cids:
        await service.room(cid, "alice", mode="notify")
        await service.post_many(cid, range(1))

    async def catch_up(device: str) -> set[tuple[str, int]]:
        held: set[tuple[str, int]] = set()
        async with connect(service.url, token=token_of("alice"), device=device, unnamed="all") as chat:
            async for message in chat.messages():
                held.add((message.cid, message.seq))
                if len(held) == 30:
                    break
        return held

    async with asyncio.timeout(60):
        everything = await asyncio.gather(*(catch_up(f"d{n}") for n in range(8)))

    assert RATE_LIMITED not in closed
    assert everything == [{(cid, 1) for cid in cids}] * 8


async def test_pipelined_sends_behind_a_refused_one_are_refused_until_it_comes_again(serve: Serve) -> None:
    service = await serve(limits={"sends_per_s": 2})
    await service.room("room", "alice")
    alice = await service.device("alice")

    for n in range(12):
        await alice.say("send", cid="room", cmid=str(n), body=n)
    for n in range(10):
        await alice.hear("sent", cmid=str(n))
    first, second = [await alice.hear("error", cmid=cmid) for cmid in ("10", "11")]
    await asyncio.sleep(first["retry_after_ms"] / 1000)
    await alice.say("send", cid="room", cmid="11", body=11)  # it would stand before the one it was sent behind
    overtaking = await alice.hear("error", cmid="11")
    await alice.say("send", cid="room", cmid="10", body=10)
    await alice.hear("sent", cmid="10")

    assert (first["code"], second["code"], overtaking["code"]) == (
        "rate_limited",
        "store_unavailable",
        "store_unavailable",
    )
    assert await order_in(service, "room", 12) == list(range(11))


async def test_whoever_floods_is_closed_and_the_others_do_not_notice(serve: Serve) -> None:
    service = await serve(limits={"frames_per_s": 5})
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    for _ in range(100):
        await alice.say("ping")
    code, _ = await alice.closed()

    assert code == 4429
    await bob.say("send", cid="room", cmid="1", body="hi")
    await bob.hear("sent")


async def test_connections_and_calls_of_a_user_share_its_rate_and_servers_have_none(serve: Serve) -> None:
    service = await serve(limits={"frames_per_s": 1, "sends_per_s": 0.5})
    await service.room("room", "alice")
    alice, wire = service.user("alice"), await service.device("alice")

    await wire.say("send", cid="room", cmid="0", body=0)
    await wire.hear("sent")
    answers = [await alice.post("/v1/conversations/room/messages", json={"cmid": str(n), "body": n}) for n in (1, 2, 3)]
    over = [await alice.get("/v1/conversations/room") for _ in range(3)][-1]

    assert [answer.status_code for answer in answers] == [201, 429, 429]
    refused = answers[1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["retry-after"] == "1"
    assert 500 < refused.json()["retry_after_ms"] <= 1_000
    assert (over.status_code, over.json()["detail"]) == (429, "over 1 frames and calls a second of this user")
    assert [(await service.post("room", f"s{n}")) != "" for n in range(20)] == [True] * 20


async def test_a_batch_over_a_conversations_rate_fails_item_by_item(service: LocalService) -> None:
    await service.room("slow", sends_per_s=0.4)
    await service.room("fast")
    batch = [{"cid": cid, "cmid": str(n), "body": n} for n in range(4) for cid in ("slow", "fast")]

    answer = await service.server.post("/v1/messages", json=batch)

    results = answer.json()
    assert [row["cid"] for row in results if "error" in row] == ["slow", "slow"]
    assert {row["error"]["code"] for row in results if "error" in row} == {"rate_limited"}
    assert all(row["error"]["retry_after_ms"] > 0 for row in results if "error" in row)


async def test_an_ack_over_the_rate_moves_the_cursor(serve: Serve) -> None:
    service = await serve(limits={"frames_per_s": 1})
    await service.room("room", "alice")
    alice: Wire = await service.device("alice")
    for _ in range(6):
        await alice.say("ping")
    await alice.hear("error", code="rate_limited")

    await service.post("room", "1")
    await alice.collect("room", 1)

    await alice.hear("cursors", delivered=1)
