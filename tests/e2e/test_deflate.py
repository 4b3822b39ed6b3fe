"""permessage-deflate on real sockets: a real implementation as the peer, and frames of our own making."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import Any

import pytest

from pushpull import client
from pushpull.client.inflating import Inflating
from pushpull.web.deflate import PLAIN_MAX, deflated, inflated
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.e2e.test_direct import CLOSE, CONTINUATION, PING, TEXT, Connect, Raw, closed, connected, hello, upgrade
from tests.e2e.test_direct import frame as plain
from tests.e2e.wire import Frame, Wire

__all__ = ["connected"]

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
RSV1 = 0x40
DEFLATING = PLAIN_MAX + 4
BODY = "Nobody says the same thing twice, but many use the same words. " * 20

pytestmark = pytest.mark.parametrize("serve", ["direct"], indirect=True)


def frame(kind: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    made = plain(kind, payload, fin=fin)
    return bytes([made[0] | (RSV1 if rsv1 else 0)]) + made[1:]


@pytest.fixture
async def service(serve: Serve) -> LocalService:
    return await serve()


async def agreed(raw: Raw, offer: str = OFFER) -> Raw:
    raw.say(upgrade(offer))
    assert await raw.upgraded() == "HTTP/1.1 101 Switching Protocols"
    return raw


def listen(wire: Wire) -> list[bool]:
    """Whether each data frame that comes from now on is compressed, as it comes."""
    heard: list[bool] = []
    (extension,) = wire.extensions
    decode = extension.decode

    def spy(frame: Any, **options: Any) -> Any:
        if frame.opcode == TEXT:
            heard.append(frame.rsv1)
        return decode(frame, **options)

    extension.decode = spy  # type: ignore[method-assign]
    return heard


def bodies(items: list[Frame]) -> list[str]:
    return [item["body"] for item in items]


async def crowd(service: LocalService, **settings: Any) -> tuple[list[Wire], list[Wire]]:
    """Devices in a room of their own users: such that inflate, and two that do not."""
    users = [f"u{n}" for n in range(DEFLATING + 2)]
    await service.room("tea", *users, **settings)
    small = [await service.device(user, deflate=True) for user in users[:DEFLATING]]
    return small, [await service.device(user) for user in users[DEFLATING:]]


# ------------------------------------------------------------------------------------------------ out


async def test_in_a_mixed_group_all_get_the_same_and_one_compressed_frame_is_for_many(service: LocalService) -> None:
    small, large = await crowd(service)
    heard = [listen(wire) for wire in small]

    sent = [BODY + str(n) for n in range(3)]
    for n, body in enumerate(sent):
        await service.post("tea", f"m{n}", body, sender="u0")
        for wire in [*small, *large]:
            assert bodies(await wire.collect("tea", n + 1, after=n)) == [body]

    compressed = sum(sum(rsv1) for rsv1 in heard)
    assert compressed == (DEFLATING - PLAIN_MAX) * len(sent)


async def test_pages_that_many_pull_are_compressed(service: LocalService) -> None:
    small, large = await crowd(service, mode="notify")
    await service.post_many("tea", range(50))
    await service.heard("tea", 50)
    heard = [listen(wire) for wire in small]

    pages = []
    for wire in [*small, *large]:
        await wire.say("pull", cid="tea", after=0, limit=50)
        pages.append(await wire.hear("messages", cid="tea", after=0, upto=50))

    assert all(page == pages[0] for page in pages)
    assert bodies(pages[0]["items"]) == list(range(50))
    assert [any(rsv1) for rsv1 in heard] == [False] * PLAIN_MAX + [True] * (DEFLATING - PLAIN_MAX)


async def test_what_many_missed_while_they_were_away_is_compressed(service: LocalService) -> None:
    users = [f"u{n}" for n in range(DEFLATING)]
    await service.room("tea", "holder", *users)
    await service.device("holder")  # keeps the conversation in memory
    await service.post_many("tea", range(50), sender="holder")
    await service.heard("tea", 50)

    compressed = []
    for user in users:
        wire = await service.wire(deflate=True)
        heard = listen(wire)
        await wire.greet(token=token_of(user))
        assert bodies(await wire.collect("tea", 50)) == list(range(50))
        compressed.append(any(heard))

    assert compressed == [False] * PLAIN_MAX + [True] * (DEFLATING - PLAIN_MAX)


async def test_what_one_alone_gets_and_small_frames_are_not_compressed(service: LocalService) -> None:
    small, _ = await crowd(service)
    heard = listen(small[-1])
    await service.post("tea", "m1", "short", sender="u0")
    await small[-1].collect("tea", 1)
    await small[-1].say("pull", cid="tea", before=2)
    await small[-1].hear("history")
    await small[-1].say("ping", t=BODY)
    assert (await small[-1].hear("pong"))["t"] == BODY
    assert len(heard) >= 3
    assert not any(heard)


async def test_deflate_may_be_switched_off(serve: Serve) -> None:
    service = await serve(server={"deflate_min_bytes": 0})
    wire = await service.device("alice", deflate=True)
    assert wire.extensions == []


# ------------------------------------------------------------------------------------------------ in


async def test_a_real_client_that_compresses_all_it_says_is_understood(service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    alice, bob = await service.device("alice", deflate=True), await service.device("bob", deflate=True)
    for n in range(1, 4):
        await alice.say("send", cid="tea", cmid=f"m{n}", body=BODY)
        await alice.hear("sent", cmid=f"m{n}")
    assert bodies(await bob.collect("tea", 3)) == [BODY] * 3


async def test_the_python_client_gets_its_share_compressed(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []
    decode = Inflating.decode

    def spy(self: Inflating, frame: Any, **options: Any) -> Any:
        heard.append(frame.rsv1)
        return decode(self, frame, **options)

    monkeypatch.setattr(Inflating, "decode", spy)
    await crowd(service)
    await service.join("tea", "zoe")
    async with client.connect(service.url, token=token_of("zoe")) as zoe:
        await service.post("tea", "m1", BODY, sender="u0")
        message = await anext(zoe.messages())
    assert message.body == BODY
    assert any(heard)


async def test_without_an_offer_nothing_is_agreed(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    assert "sec-websocket-extensions" not in raw.headers


async def test_an_offer_in_several_headers_is_read_whole(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade("Sec-WebSocket-Extensions: x-other", OFFER))
    await raw.upgraded()
    assert raw.headers["sec-websocket-extensions"] == ANSWER


async def test_a_compressed_message_in_fragments_is_one_message_with_a_ping_in_between(connected: Connect) -> None:
    raw = await agreed(await connected())
    assert raw.headers["sec-websocket-extensions"] == ANSWER
    payload = deflated(hello())
    raw.say(frame(TEXT, payload[:10], fin=False, rsv1=True) + frame(PING, b"?"))
    raw.say(frame(CONTINUATION, payload[10:20], fin=False) + frame(CONTINUATION, payload[20:]))
    assert (await raw.heard())[1] == b"?"
    assert (await raw.hears("welcome"))["device"] == "d"
    raw.say(frame(TEXT, b'{"type":"ping",', fin=False) + frame(CONTINUATION, b'"t":1}'))  # and one that is plain
    assert (await raw.hears("pong"))["t"] == 1
    raw.say(frame(TEXT, deflated(b'{"type":"ping","t":2}'), rsv1=True))
    assert (await raw.hears("pong"))["t"] == 2


async def test_a_bomb_is_refused_before_the_hello_and_after_it(connected: Connect) -> None:
    bomb = frame(TEXT, deflated(b'{"type":"ping","t":"' + bytes(20_000_000)), rsv1=True)
    raw = await agreed(await connected())
    raw.say(bomb)
    assert await closed(raw) == 4413
    raw = await agreed(await connected())
    raw.say(frame(TEXT, hello()))
    await raw.hears("welcome")
    raw.say(bomb)
    assert await closed(raw) == 4413


async def test_inflated_frames_are_held_to_the_limits_of_plain_ones(connected: Connect) -> None:
    raw = await agreed(await connected())
    raw.say(frame(TEXT, deflated(b" " * 17_000), rsv1=True))  # a hello may have 16 KiB
    assert await closed(raw) == 4413


@pytest.mark.parametrize(
    "said",
    [
        frame(TEXT, b"\xff\xff\xff\xff", rsv1=True),
        frame(TEXT, hello()[:9], fin=False) + frame(CONTINUATION, hello()[9:], rsv1=True),
        frame(TEXT, hello()[:9], fin=False) + frame(TEXT, deflated(hello()), rsv1=True),
        frame(TEXT, hello()[:9], fin=False) + frame(TEXT, hello()[9:]),
        frame(CONTINUATION, hello()),
        frame(PING, b"", rsv1=True),
        frame(CLOSE, struct.pack("!H", 1000), rsv1=True),
    ],
    ids=["not deflate", "rsv1 on a fragment", "amid fragments", "plain amid fragments", "of nothing", "ping", "close"],
)
async def test_what_the_rfc_forbids_ends_the_connection(connected: Connect, said: bytes) -> None:
    raw = await agreed(await connected())
    raw.say(said)
    assert await closed(raw) == 4400


async def test_a_compressed_message_without_an_agreement_ends_the_connection(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, deflated(hello()), rsv1=True))
    assert await closed(raw) == 4400


async def test_what_is_compressed_has_the_bit_and_inflates_by_itself(service: LocalService, connected: Connect) -> None:
    """Byte by byte, past any library."""
    raws = [await agreed(await connected()) for _ in range(PLAIN_MAX + 2)]
    await service.room("tea", "alice")
    for n, raw in enumerate(raws):
        raw.say(frame(TEXT, hello(f"d{n}")))
        await raw.hears("sync")
    await service.post("tea", "m1", BODY, sender="alice")
    payloads = []
    for raw in raws:
        first, size = await asyncio.wait_for(raw.reader.readexactly(2), 5)
        assert size == 126
        (length,) = struct.unpack("!H", await raw.reader.readexactly(2))
        payload = await raw.reader.readexactly(length)
        payloads.append(inflated(payload, 1 << 20) if first & RSV1 else payload)
        if first & RSV1:
            assert zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff") == payloads[0]
    assert len(set(payloads)) == 1
