"""What is remembered of how a device's connection ended, whoever ended it."""

from __future__ import annotations

import asyncio

from pushpull.model import Uid
from pushpull.store.devices import Close
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService

BOB = Uid("bob")


async def last_close(service: LocalService, after: str = "") -> Close:
    """The last close of bob's one device, once it is another session's than `after`."""
    async with asyncio.timeout(5):
        while True:
            (device,) = await service.node.store.devices.of(BOB)
            if device.closed is not None and device.closed.session != after:
                return device.closed
            await asyncio.sleep(0.01)


def said(close: Close) -> tuple[int, str, str]:
    return close.code, close.reason, close.by


async def test_a_device_that_says_goodbye(service: LocalService) -> None:
    bob = await service.device("bob")
    await bob.leave()

    assert said(await last_close(service)) == (1000, "", "device")


async def test_a_line_that_is_cut(service: LocalService) -> None:
    bob = await service.device("bob")
    bob.cut()

    assert said(await last_close(service)) == (1006, "the connection was lost", "line")


async def test_one_that_is_kicked(service: LocalService) -> None:
    bob = await service.device("bob")
    await service.server.delete("/v1/users/bob/sessions")
    await bob.closed()

    assert said(await last_close(service)) == (4403, "the session was ended by the service", "service")


async def test_one_that_is_replaced_and_then_leaves(service: LocalService) -> None:
    first = await service.device("bob")
    second = await service.device("bob")
    await first.closed()
    replaced = await last_close(service)
    assert said(replaced) == (4409, "replaced by another connection", "service")

    await second.leave()
    assert said(await last_close(service, after=replaced.session)) == (1000, "", "device")


async def test_one_that_acks_nothing(serve: Serve) -> None:
    service = await serve(delivery={"ack_wait_ms": 100, "backoff": 1.0, "max_deliver": 2})
    await service.room("room", "alice", "bob")
    bob = await service.device("bob")
    await service.post("room", "c1")
    await bob.closed()

    assert said(await last_close(service)) == (4408, "no ack after 2 deliveries", "service")
