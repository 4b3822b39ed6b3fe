"""A session in which everything is said: each frame, both ways, is what the AsyncAPI document says; none is missing.

What the service says is held against the document in every test that hears it (tests/documented.py); here it is seen
that nothing stands in the document that nobody ever says.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any

import pytest

from pushpull.delivery import liveness
from tests import documented
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.e2e.wire import Wire

Frames = dict[str, list[dict[str, Any]]]
FIRST_AT = 2_000_000_000_000  # ms: by a clock that is ahead, which never makes a message too late


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> Frames:
    """Every frame of this test, by its side; what the service took for good is all that the devices say here."""
    heard: Frames = defaultdict(list)
    check, say = documented.check_frame, Wire.say_text

    def checking(side: str, frame: dict[str, Any]) -> None:
        heard[side].append(frame)
        check(side, frame)

    async def saying(wire: Wire, text: str | bytes) -> None:
        checking("to_service", json.loads(text))
        await say(wire, text)

    monkeypatch.setattr(documented, "check_frame", checking)
    monkeypatch.setattr(Wire, "say_text", saying)
    return heard


async def test_everything_that_is_described_is_said_and_as_it_is_described(
    serve: Serve, spoken: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "HEARTBEAT_S", 0.4)
    service = await serve(delivery={"ack_wait_ms": 100, "push_max_members": 3})
    await service.room("tea", "alice", "bob", data={"title": "Tea"})
    await service.room("hall", "bob", "c1", "c2", "c3", mode="notify")

    phone = await come_and_go(service)
    await talk(service, phone)
    await read_and_pull(service, phone)
    await be_told(service, phone)

    for side in ("to_service", "from_service"):
        assert {frame["type"] for frame in spoken[side]} == documented.types(side)
    assert fields_that_may_be_missing(spoken) == set()


async def come_and_go(service: LocalService) -> Wire:
    """Bob's phone comes with a position that the log does not know, and is told so; a ping, a pong, a fresh token."""
    await service.post("tea", "first", sender="alice")
    phone = await service.wire()
    asks = {"positions": {"tea": "1-1"}, "features": ["receipts", "focus"], "client": "test/1", "unnamed": "all"}
    await phone.greet(token=token_of("bob"), focus=None, active=True, max_backlog=10, rid="hello", **asks)
    await phone.hear("reset", reason="diverged")
    await phone.say("auth", token=token_of("bob"))
    await phone.say("ping", t=1, rid=2)
    await phone.hear("pong", t=1, rid=2)
    await phone.hear("ping")
    await phone.say("pong", t="any")
    await phone.say("sync", after="hall", rid=3)
    await phone.hear("sync", rid=3)
    return phone


async def talk(service: LocalService, phone: Wire) -> None:
    """Messages of every kind; one that comes again, for want of an ack; a receipt, a signal."""
    await phone.hear("messages", cid="tea", redelivery=1)
    await phone.say("ack", acks={"tea": 1})
    await phone.say("send", cid="tea", cmid="b", body=[1], mentions=["alice"], quiet=True, rid=4)
    await phone.hear("sent", rid=4)
    await phone.say("send", cid="tea", cmid="e", kind="edit", ref=2, body="edited", first_at=FIRST_AT)
    await phone.hear("sent", cmid="e")
    await phone.say("send", cid="nowhere", cmid="b", body=1, rid=5)
    await phone.hear("error", rid=5)
    laptop = await service.device("alice", "laptop")
    await laptop.say("signal", cid="tea", body={"typing": True})
    await phone.hear("signal", cid="tea")
    await laptop.say("read", cid="tea", seq=3)
    await phone.hear("receipt", user="alice", read=3)
    for _ in range(20):
        await laptop.say("signal", cid="tea", body=1)
    assert (await laptop.hear("error", code="rate_limited"))["retry_after_ms"] > 0


async def read_and_pull(service: LocalService, phone: Wire) -> None:
    await phone.say("read", cid="tea", seq=2, rid=6)
    await phone.hear("cursors", read=2)
    await phone.say("pull", cid="tea", before=3, limit=1, rid=7)
    await phone.hear("history", rid=7)
    await phone.say("pull", cid="tea", after=0)
    page = await phone.hear("messages", after=0, upto=3)
    assert [item.get("edited") is not None for item in page["items"]] == [False, True, False]


async def be_told(service: LocalService, phone: Wire) -> None:
    """What happens to the user: notices, conversations that come, change and go, a node that goes away."""
    await phone.say("focus", cid="tea", active=False)
    await service.post("hall", "large", "x" * 2000, mentions=["bob"])
    await phone.hear("notice", cid="hall", mentioned=True)
    await service.room("new", "bob", data=1)
    await phone.hear("conversation", change="joined")
    await service.server.put("/v1/conversations/new", json={"settings": {"mode": "push"}})
    await phone.hear("conversation", change="updated")
    await service.remove("hall", "bob")
    await phone.hear("conversation", change="left")
    await service.server.delete("/v1/conversations/new")
    await phone.hear("conversation", change="deleted")
    draining = asyncio.create_task(service.node.drain())
    await phone.hear("drain")
    await draining


def fields_that_may_be_missing(spoken: Frames) -> set[str]:
    """`side.type.field` of what the document has and nobody said in this session: a rid, where none was asked for."""
    said = {f"{side}.{frame['type']}.{name}" for side, frames in spoken.items() for frame in frames for name in frame}
    described = {f"{side}.{kind}.{name}" for side in spoken for kind in documented.types(side)
                 for name in documented.fields(side, kind)}  # fmt: skip
    return {name for name in described - said if not name.endswith(".rid")}
