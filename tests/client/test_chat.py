"""The device over a real socket, against a service that plays a script."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest

from pushpull.client import ConnectionEnded, Message, Reset, connect
from pushpull.client import backoff as backoff_rules
from pushpull.errors import Invalid, NotAMember, Unauthenticated
from tests.client.fake_service import Peer, row, service

SECRET = "a secret that is long enough for HS256"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once: the delays themselves are tested where they are made."""
    monkeypatch.setattr(backoff_rules.Backoff, "next_delay_s", lambda self, chance: 0.0)


async def take(chat: Any, count: int) -> list[int]:
    taken = []
    async with asyncio.timeout(5):
        async for message in chat.messages():
            taken.append(message.seq)
            if len(taken) == count:
                return taken
    return taken


async def test_ten_lines_are_enough():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        send = await peer.hear("send")
        assert (send["cid"], send["body"]) == ("c", {"text": "hi"})
        await peer.say("sent", cid="c", cmid=send["cmid"], id="1-1", dup=False)
        await peer.push(0, 1)
        await peer.stay()

    async with service(scene) as url, connect(url, token="t", device="laptop") as chat:
        sent = await chat.send("c", {"text": "hi"})
        assert sent.id == "1-1"
        async for message in chat.messages():
            assert (message.sender, message.body) == ("ann", 1)
            break


async def test_the_token_goes_into_the_upgrade_and_the_device_into_hello():
    async def scene(peer: Peer) -> None:
        assert peer.token == "secret-token"
        hello = await peer.greet()
        assert hello["device"] == "laptop"
        assert hello["positions"] == {"c": "7-1"}
        assert hello["unnamed"] == "head"
        assert "token" not in hello
        await peer.stay()

    async with (
        service(scene) as url,
        connect(url, token="secret-token", device="laptop", positions={"c": "7-1"}, unnamed="head") as chat,
    ):
        assert chat.user == "bob"


async def test_messages_are_acked_when_the_next_one_is_asked_for_and_positions_are_kept_first():
    kept: list[dict[str, str]] = []
    acked = asyncio.Event()

    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 3)
        ack = await peer.hear("ack")
        assert ack["acks"] == {"c": 2}
        assert kept[-1] == {"c": "2-1"}
        acked.set()
        await peer.stay()

    async def keep(positions: dict[str, str]) -> None:
        kept.append(positions)

    async with service(scene) as url, connect(url, token="t", on_positions=keep) as chat:
        messages = chat.messages()
        assert [(await anext(messages)).seq for _ in range(3)] == [1, 2, 3]
        async with asyncio.timeout(5):
            await acked.wait()
        assert chat.positions == {"c": "2-1"}


async def test_with_acks_by_hand_only_the_owner_acks():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 3)
        assert (await peer.hear("ack"))["acks"] == {"c": 2}
        await peer.close(4500)

    async with service(scene) as url, connect(url, token="t", auto_ack=False) as chat:
        messages = chat.messages()
        got = [await anext(messages) for _ in range(3)]
        await chat.ack(got[1])
        with pytest.raises(ConnectionEnded):
            await anext(messages)
        assert chat.positions == {"c": "2-1"}


async def test_a_lost_line_is_resumed_where_the_owner_stands():
    taken, resumed = asyncio.Event(), asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 3)
        await taken.wait()
        await peer.close(1011)

    async def second(peer: Peer) -> None:
        hello = await peer.greet(row(start=1, head=4))
        assert hello["positions"] == {"c": "1-1"}
        await peer.push(1, 4)
        resumed.set()
        await peer.stay()

    async with service(first, second) as url, connect(url, token="t") as chat:
        messages = chat.messages()
        assert (await anext(messages)).seq == 1
        taken.set()
        await resumed.wait()
        assert [(await anext(messages)).seq for _ in range(3)] == [2, 3, 4]


async def test_a_send_that_was_not_answered_goes_out_again_under_the_same_cmid():
    async def first(peer: Peer) -> None:
        await peer.greet(row())
        cmids.append((await peer.hear("send"))["cmid"])
        await peer.close(1012)

    async def second(peer: Peer) -> None:
        await peer.greet(row())
        cmids.append((await peer.hear("send"))["cmid"])
        await peer.say("sent", cid="c", cmid=cmids[1], id="1-1", dup=True)
        await peer.stay()

    cmids: list[str] = []
    async with service(first, second) as url, connect(url, token="t") as chat:
        sent = await chat.send("c", "hi")
    assert sent.dup
    assert cmids[0] == cmids[1] == sent.cmid


async def test_a_gap_is_pulled():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(2, 3)
        pull = await peer.hear("pull")
        assert (pull["cid"], pull["after"]) == ("c", 0)
        await peer.push(0, 3)
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        assert await take(chat, 3) == [1, 2, 3]


async def test_a_reset_comes_in_its_place_among_the_messages():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 1)
        await peer.say("reset", cid="c", reason="trimmed", epoch="1", pos="5-1", head=6, floor=6)
        await peer.push(5, 6)
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        events = chat.events()
        told = [await anext(events) for _ in range(3)]
    assert [type(event) for event in told] == [Message, Reset, Message]


async def test_a_refused_send_raises_what_the_service_says():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        send = await peer.hear("send")
        message = "bob is no member of c"
        await peer.say("error", code="not_a_member", message=message, temporary=False, cid="c", cmid=send["cmid"])
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        with pytest.raises(NotAMember, match="bob is no member of c"):
            await chat.send("c", "hi")


async def test_a_body_over_the_service_s_limit_is_refused_here():
    async def scene(peer: Peer) -> None:
        await peer.greet(row(), limits={"body_bytes": 10})
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        with pytest.raises(Exception, match="expected at most 10"):
            await chat.send("c", "x" * 20)


async def test_history_is_read_backward():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        pull = await peer.hear("pull")
        assert (pull["before"], pull["limit"]) == (9, 2)
        item = {"id": "8-1", "seq": 8, "ts": 1, "cmid": "m", "kind": "message", "body": "old"}
        await peer.say("history", cid="c", before=9, items=[item], floor=1, more=True, rid=pull["rid"])
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        page = await chat.history("c", before=9, limit=2)
    assert [message.body for message in page.messages] == ["old"]
    assert page.more


async def test_history_that_is_refused_raises():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        pull = await peer.hear("pull")
        await peer.say("error", code="invalid", message="limit 0 is not 1 to 500", temporary=False, rid=pull["rid"])
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        with pytest.raises(Invalid, match="limit 0"):
            await chat.history("c", limit=0)


async def test_history_is_asked_again_when_the_line_was_lost():
    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.hear("pull")
        await peer.close(1013)

    async def second(peer: Peer) -> None:
        await peer.greet(row())
        pull = await peer.hear("pull")
        await peer.say("history", cid="c", before=1, items=[], floor=1, more=False, rid=pull["rid"])
        await peer.stay()

    async with service(first, second) as url, connect(url, token="t") as chat:
        assert (await chat.history("c")).messages == ()


async def test_an_expired_send_that_is_found_in_the_history_is_not_sent_again():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        send = await peer.hear("send")
        await peer.say("error", code="cmid_expired", message="too old", temporary=False, cid="c", cmid=send["cmid"])
        pull = await peer.hear("pull")
        mine = {
            "id": "4-1",
            "seq": 4,
            "ts": 2_000_000,
            "from": "bob",
            "cmid": send["cmid"],
            "kind": "message",
            "body": 1,
        }
        await peer.say("history", cid="c", before=5, items=[mine], floor=1, more=False, rid=pull["rid"])
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        sent = await chat.send("c", 1)
    assert (sent.id, sent.dup) == ("4-1", True)


async def test_an_expired_send_that_was_never_stored_goes_out_under_a_new_cmid():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        first = await peer.hear("send")
        await peer.say("error", code="cmid_expired", message="too old", temporary=False, cid="c", cmid=first["cmid"])
        pull = await peer.hear("pull")
        await peer.say("history", cid="c", before=1, items=[], floor=1, more=False, rid=pull["rid"])
        second = await peer.hear("send")
        assert second["cmid"] != first["cmid"]
        await peer.say("sent", cid="c", cmid=second["cmid"], id="1-1", dup=False)
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        assert (await chat.send("c", 1)).id == "1-1"


async def test_a_refused_token_without_another_one_ends_it():
    async def scene(peer: Peer) -> None:
        await peer.hear("hello")
        await peer.close(4401, "token_expired")

    async with service(scene) as url:
        with pytest.raises(Unauthenticated) as refused:
            async with connect(url, token="t"):
                pass
    assert refused.value.reason == "token_expired"


async def test_a_refused_token_is_replaced_by_a_fresh_one():
    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.close(4401, "token_revoked")

    async def second(peer: Peer) -> None:
        assert peer.token == "token-2"
        await peer.greet(row())
        await peer.push(0, 1)
        await peer.stay()

    made: list[str] = []

    async def token() -> str:
        made.append(f"token-{len(made) + 1}")
        return made[-1]

    async with service(first, second) as url, connect(url, token=token) as chat:
        assert await take(chat, 1) == [1]
    assert made == ["token-1", "token-2"]


async def test_a_fresh_token_that_cannot_be_had_for_now_is_had_later():
    async def first(peer: Peer) -> None:
        await peer.greet()
        await peer.close(4401, "token_expired")

    async def second(peer: Peer) -> None:
        assert peer.token == "token-2"
        await peer.greet(row())
        await peer.push(0, 1)
        await peer.stay()

    answers: list[str | Exception] = ["token-1", ConnectionRefusedError("no network"), "token-2"]

    async def token() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with service(first, second) as url, connect(url, token=token) as chat:
        message = await anext(chat.messages())
    assert message.seq == 1
    assert answers == []


async def test_the_same_token_again_is_no_fresh_one():
    async def scene(peer: Peer) -> None:
        await peer.close(4401, "token_invalid")

    async with service(scene) as url:
        with pytest.raises(Unauthenticated):
            async with connect(url, token=lambda: "always the same"):
                pass


async def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch):
    renewed = asyncio.Event()

    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        assert (await peer.hear("auth"))["token"] == made[1]
        renewed.set()
        await peer.stay()

    monkeypatch.setattr("pushpull.client.connection.RENEW_FIRST_S", 0.0)
    soon = int(time.time())
    made = [jwt.encode({"sub": "bob", "exp": soon + 3600 * n}, SECRET, "HS256") for n in (0, 1)]
    supply = iter(made)
    async with service(scene) as url, connect(url, token=lambda: next(supply)):
        async with asyncio.timeout(5):
            await renewed.wait()


async def test_a_device_that_was_replaced_stays_away():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.close(4409, "replaced")

    async with service(scene) as url, connect(url, token="t") as chat:
        with pytest.raises(ConnectionEnded) as ended:
            await take(chat, 1)
        with pytest.raises(ConnectionEnded):
            await chat.send("c", "hi")
    assert ended.value.close_code == 4409


async def test_on_drain_the_next_connection_is_open_before_the_old_one_is_left():
    order: list[str] = []

    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 1)
        await peer.say("drain", after_ms=0, jitter_ms=10)
        await peer.stay()
        order.append("old left")

    async def second(peer: Peer) -> None:
        order.append("new open")
        await peer.greet(row(start=1))
        await peer.push(1, 2)
        await peer.stay()

    async with service(first, second) as url, connect(url, token="t") as chat:
        assert await take(chat, 2) == [1, 2]
    assert order == ["new open", "old left"]


async def test_silence_is_taken_for_a_dead_line():
    async def first(peer: Peer) -> None:
        await peer.greet(row(), heartbeat_s=0.05)
        await peer.stay()

    async def second(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 1)
        await peer.stay()

    async with service(first, second) as url, connect(url, token="t") as chat:
        assert await take(chat, 1) == [1]


async def test_unknown_frames_and_nonsense_do_not_end_it():
    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.say("telepathy", what="?")
        await peer.push(0, 1)
        await peer.say_raw("nonsense")
        await peer.stay()

    async def second(peer: Peer) -> None:
        await peer.greet(row(start=1))
        await peer.push(1, 2)
        await peer.stay()

    async with service(first, second) as url, connect(url, token="t") as chat:
        assert await take(chat, 2) == [1, 2]


async def test_what_the_positions_callback_raises_comes_out():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 2)
        await peer.stay()

    def keep(positions: dict[str, str]) -> None:
        raise RuntimeError("the disk is full")

    async with service(scene) as url, connect(url, token="t", on_positions=keep) as chat:
        with pytest.raises(RuntimeError, match="disk is full"):
            await take(chat, 3)


async def test_leaving_acks_what_was_stored():
    async def scene(peer: Peer) -> None:
        await peer.greet(row(), ack={"delay_ms": 60_000, "max": 1000})
        await peer.push(0, 2)
        assert (await peer.hear("ack"))["acks"] == {"c": 1}
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        assert await take(chat, 2) == [1, 2]


async def test_a_service_that_is_not_there_is_said_to_be_so():
    async with service() as url:
        pass
    with pytest.raises(ConnectionEnded, match=r"did not answer within 0\.3 s"):
        async with connect(url, token="t", open_s=0.3):
            pass


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "http://"])
async def test_a_url_that_is_none_is_refused(url: str):
    with pytest.raises(Invalid, match="url"):
        connect(url, token="t")


async def test_sends_wait_while_the_outbox_is_full_and_a_cancelled_one_makes_room():
    async def scene(peer: Peer) -> None:
        await peer.greet(row())
        for seq in (1, 2, 3):
            send = await peer.hear("send")
            assert send["body"] == seq
            await peer.say("sent", cid="c", cmid=send["cmid"], id=f"{seq}-1", dup=False)
        await peer.stay()

    async with service(scene) as url, connect(url, token="t") as chat:
        chat._outbox.max_pending = 1
        sent = await asyncio.gather(*(chat.send("c", n) for n in (1, 2, 3)))
    assert [one.id for one in sent] == ["1-1", "2-1", "3-1"]
