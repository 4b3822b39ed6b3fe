"""A service process that is told to go away: devices are told, then closed, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.conftest import Serve, ServeProcess
from tests.e2e.service import Service, ServiceProcess

Talk = Callable[[ServiceProcess], Service]


async def test_sigterm_says_drain_closes_with_1012_and_writes_the_cursors(
    serve_process: ServeProcess, talk: Talk
) -> None:
    process = serve_process(server__drain_s=1, delivery__cursor_flush_ms=60_000)
    service = talk(process)
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")
    await service.post("room", "c1", sender="alice")
    await bob.collect("room", 1)
    await bob.say("read", cid="room", seq=1)
    await bob.say("ping")
    await bob.hear("pong")
    assert (await service.row("bob", "room"))["delivered"] == 0

    process.signal(signal.SIGTERM)

    drain = await bob.hear("drain")
    assert 0 <= drain["after_ms"] + drain["jitter_ms"] <= 1_000
    assert [(await wire.closed())[0] for wire in (alice, bob)] == [1012, 1012]
    assert process.wait() == 0
    process.start()
    row = await talk(process).row("bob", "room")
    assert (row["delivered"], row["read"], row["unread"]) == (1, 1, 0)
    assert "Traceback" not in process.output


async def test_a_node_that_drains_lets_no_device_in_and_goes_on_answering_calls(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.node.drain.LONE_S", 10.0)
    service = await serve(server={"drain_s": 10})
    await service.room("room", "bob")
    bob = await service.device("bob")
    draining = asyncio.create_task(service.node.drain())
    await bob.hear("drain")

    with pytest.raises(InvalidStatus) as refused:
        await service.wire()
    ready, alive = await service.anybody().get("/readyz"), await service.anybody().get("/healthz")
    await service.post("room", "c1")

    assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "2")
    assert (ready.status_code, ready.json()["checks"]["draining"]) == (503, "this node is going away")
    assert alive.status_code == 200
    assert not draining.done(), "all of this happened while it drained"
    await bob.leave()
    await draining


async def test_what_was_sent_is_there_after_a_kill(serve_process: ServeProcess, talk: Talk) -> None:
    process = serve_process()
    service = talk(process)
    await service.room("room", "bob")
    bob = await service.device("bob")
    await service.post_many("room", range(1, 6))
    await bob.collect("room", 5, ack=False)

    process.kill()
    process.start()

    back = await talk(process).device("bob")
    assert [item["body"] for item in await back.collect("room", 5)] == [1, 2, 3, 4, 5]


async def test_no_token_stands_in_the_log(serve_process: ServeProcess, talk: Talk) -> None:
    process = serve_process(log__level="debug", server__token_in_query="true", server__drain_s=0.2)
    service = talk(process)
    await service.room("room", "bob")
    await (await service.wire("?token=a-token-in-the-address")).closed()
    await (await service.wire(Authorization="Bearer a-token-at-the-upgrade")).closed()
    wire = await service.wire()
    await wire.say("hello", device="phone", token="a-token-in-hello")
    await wire.closed()
    bob = await service.device("bob")
    await bob.say("send", cid="room", cmid="c", body="a-body-of-a-message")
    await bob.collect("room", 1)
    await bob.say("send", cid="room", cmid="c", body="a-body-of-a-conflict")
    await bob.error("cmid_conflict")
    process.stop()

    for secret in ("a-token-", "a-body-", "a-secret-of", "an-api-key"):
        assert secret not in process.output
