"""A device that knows several nodes: where it begins, and where it goes when one fails, drains or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from pushpull.client import ConnectionEnded, connect, connection, silence
from pushpull.client.backoff import Backoff
from tests.client.fake_service import Peer, row, service
from tests.servers import free_port


@pytest.fixture(autouse=True)
def _in_the_order_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushpull.client.dial.random.random", lambda: 0.5)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds after which a device waited before it dialled again."""
    waited: list[int] = []

    def next_delay_s(self: Backoff, chance: float) -> float:
        waited.append(len(waited))
        return 0.0

    monkeypatch.setattr(Backoff, "next_delay_s", next_delay_s)
    return waited


@contextlib.asynccontextmanager
async def hung() -> AsyncIterator[str]:
    """A node that takes connections and says nothing."""
    taken: list[asyncio.StreamWriter] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in taken:
            writer.close()


async def stay(peer: Peer) -> None:
    await peer.greet(row())
    await peer.stay()


async def test_a_node_that_is_not_there_is_followed_by_the_next_without_a_wait(waits: list[int]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with service(stay) as url, connect([nobody, url], token="t") as chat:
        assert chat.connected
    assert waits == []


async def test_the_wait_comes_when_all_were_tried(waits: list[int]) -> None:
    nobody = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
    with pytest.raises(ConnectionEnded):
        async with connect(nobody, token="t", open_s=1.5):
            pass
    assert waits


async def test_a_node_that_hangs_at_the_upgrade_is_left_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "DIAL_S", 0.2)
    begun = time.monotonic()
    async with hung() as silent, service(stay) as url, connect([silent, url], token="t") as chat:
        assert chat.connected
    assert time.monotonic() - begun < 5


async def test_positions_go_along_to_the_next_node() -> None:
    async def first(peer: Peer) -> None:
        await peer.greet(row())
        await peer.push(0, 2)
        await peer.hear("ack")
        await peer.close(1012)

    heard: list[dict[str, str]] = []

    async def second(peer: Peer) -> None:
        heard.append((await peer.greet(row(start=2)))["positions"])
        await peer.push(2, 3)
        await peer.stay()

    async with service(first) as one, service(second) as two, connect(f"{one},{two}", token="t") as chat:
        seqs = [0]
        async with asyncio.timeout(5):
            async for message in chat.messages():
                seqs.append(message.seq)
                if message.seq == 3:
                    break
    assert seqs == [0, 1, 2, 3]
    assert heard == [{"c": "2-1"}]


async def test_a_drain_sends_it_to_another_node() -> None:
    arrived = asyncio.Event()

    async def draining(peer: Peer) -> None:
        await peer.greet(row())
        await peer.say("drain", after_ms=0, jitter_ms=1)
        await peer.stay()

    async def other(peer: Peer) -> None:
        await peer.greet(row())
        arrived.set()
        await peer.stay()

    async with service(draining) as one, service(other) as two, connect([one, two], token="t"):
        async with asyncio.timeout(5):
            await arrived.wait()


async def test_a_drain_ends_at_the_same_node_where_no_other_answers() -> None:
    arrived = asyncio.Event()

    async def draining(peer: Peer) -> None:
        await peer.greet(row())
        await peer.say("drain", after_ms=0, jitter_ms=1)
        await peer.stay()

    async def again(peer: Peer) -> None:
        await peer.greet(row())
        arrived.set()
        await peer.stay()

    nobody = f"http://127.0.0.1:{free_port()}"
    async with service(draining, again) as url, connect([url, nobody], token="t"):
        async with asyncio.timeout(5):
            await arrived.wait()


async def test_a_node_that_hangs_is_found_out_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("QUIET_S", 0.1), ("WAITING_QUIET_S", 0.1), ("ANSWER_S", 0.1)):
        monkeypatch.setattr(silence, name, seconds)
    monkeypatch.setattr(connection, "WATCH_S", 0.02)
    answered = asyncio.Event()
    pinged: list[str] = []

    async def hangs(peer: Peer) -> None:
        await peer.greet(row())
        await peer.hear("ping")
        pinged.append("ping")
        await peer.stay()

    async def lives(peer: Peer) -> None:
        await peer.greet(row())
        for _ in range(3):
            await peer.hear("ping")
            await peer.say("pong")
        answered.set()
        await peer.stay()

    async with service(hangs) as one, service(lives) as two, connect([one, two], token="t") as chat:
        async with asyncio.timeout(5):
            await answered.wait()
        assert chat.connected
    assert pinged == ["ping"]


async def test_a_connection_whose_hello_is_not_answered_is_cut_before_the_next_is_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pushpull.client.link.OPEN_S", 0.2)
    cut = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.hear("hello")
        await peer.stay()
        cut.set()

    async with service(slow) as silent, service(stay) as url, connect([silent, url], token="t") as chat:
        assert chat.connected
        async with asyncio.timeout(1):
            await cut.wait()
