"""How to test an app that uses pushpull: against a real service where it matters, with a stand-in where it does not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx2
import pytest
import uvicorn
from app import Order, create_app, keep_in_step, open_chat
from standardwebhooks import Webhook

from pushpull import testing
from pushpull.client import AsyncServer, ConnectionEnded, connect

# ---------------------------------------------------------------------------- with a service and a running app


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """The app's port: pushpull has to know it before the app starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="module")
def chat(listener: socket.socket) -> Iterator[testing.TestService]:
    hook = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/pushpull"
    with testing.service(offline__webhook_url=hook, offline__delay_s=0.5, idempotency__window_s=1) as running:
        yield running


@pytest.fixture(scope="module")
def app_url(chat: testing.TestService, listener: socket.socket) -> Iterator[str]:
    """The app, served in a thread."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PUSHPULL_URL", chat.url)
        environment.setenv("PUSHPULL_API_KEY", chat.api_key)
        environment.setenv("PUSHPULL_JWT_SECRET", chat.jwt_secret)
        environment.setenv("PUSHPULL_WEBHOOK_SECRET", chat.webhook_secret)
        server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@contextmanager
def sign_in(app_url: str, user: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=app_url) as browser:
        assert browser.post("/login", json={"user": user}).status_code == 204
        yield browser


def token_of(browser: httpx2.Client) -> str:
    return str(browser.get("/chat-token").json()["token"])


def test_customer_and_kitchen_talk_about_an_order(app_url: str, chat: testing.TestService) -> None:
    with sign_in(app_url, "ann") as ann, sign_in(app_url, "kitchen") as kitchen:
        cid = ann.post("/orders", json={"dish": "soup"}).json()["cid"]

        async def talk() -> list[object]:
            async with (
                connect(chat.url, token=lambda: token_of(ann), device="anns-phone") as phone,
                connect(chat.url, token=lambda: token_of(kitchen), device="tablet", unnamed="all") as tablet,
            ):
                await phone.send(cid, {"text": "No onions, please"})
                received = tablet.messages()
                return [(await anext(received)).body["text"] for _ in range(2)]

        assert asyncio.run(asyncio.wait_for(talk(), 20)) == ["soup for ann", "No onions, please"]


def test_who_is_away_is_notified(app_url: str) -> None:
    with sign_in(app_url, "bob") as bob:
        cid = bob.post("/orders", json={"dish": "tea"}).json()["cid"]
        give_up = time.monotonic() + 20
        while not (shown := bob.get("/pushed").json()):
            assert time.monotonic() < give_up, "no notification came"
            time.sleep(0.05)

    assert shown == [f"bob: 1 unread in {cid}"]


def test_a_driver_comes_and_goes(app_url: str, chat: testing.TestService) -> None:
    with sign_in(app_url, "carol") as carol, sign_in(app_url, "kitchen") as kitchen:
        cid = carol.post("/orders", json={"dish": "rice"}).json()["cid"]
        number = cid.removeprefix("order-")
        for driver in ("dan", "eve"):
            assert kitchen.put(f"/orders/{number}/driver", json={"driver": driver}).status_code == 204
        assert carol.put(f"/orders/{number}/driver", json={"driver": "carol"}).status_code == 404
        members = httpx2.get(f"{chat.url}/v1/conversations/{cid}/members", headers={"X-API-Key": chat.api_key}).json()
        assert {member["user"] for member in members["members"]} == {"carol", "kitchen", "eve"}

        assert carol.delete(f"/orders/{number}").status_code == 204
        gone = httpx2.get(f"{chat.url}/v1/conversations/{cid}", headers={"X-API-Key": chat.api_key})
        assert gone.status_code == 404


def test_a_chat_may_be_opened_again_whenever_that_is(app_url: str, chat: testing.TestService) -> None:
    with sign_in(app_url, "hal") as hal:
        cid = hal.post("/orders", json={"dish": "fish"}).json()["cid"]

    async def open_again() -> tuple[set[str], list[str]]:
        async with AsyncServer(chat.url, chat.api_key) as server:
            await asyncio.sleep(2.5)  # by now the cmid of the first message is forgotten
            await open_chat(server, Order(int(cid.removeprefix("order-")), "hal", "fish", driver="ida"))
            members = {member["user"] async for member in server.members(cid)}
            return members, [message.body["text"] async for message in server.messages(cid)]

    assert asyncio.run(open_again()) == ({"hal", "kitchen", "ida"}, ["fish for hal"])


def test_who_is_signed_out_everywhere_is_out_of_the_chat(app_url: str, chat: testing.TestService) -> None:
    with sign_in(app_url, "fay") as fay:
        token = token_of(fay)

        async def be_signed_out() -> None:
            async with connect(chat.url, token=token, device="phone") as phone:
                await asyncio.to_thread(fay.delete, "/sessions")
                with pytest.raises(ConnectionEnded):
                    await anext(phone.messages())

        asyncio.run(asyncio.wait_for(be_signed_out(), 20))
        assert fay.get("/chat-token").status_code == 401


def test_a_call_that_pushpull_did_not_sign_is_refused(app_url: str, chat: testing.TestService) -> None:
    body = '{"type": "conversation.unread", "data": {"cid": "order-1", "users": [{"user": "gus", "unread": 1}]}}'
    for secret, answer in (("whsec_" + "ab" * 24, 401), (chat.webhook_secret, 204)):
        now = datetime.now(UTC)
        headers = {
            "webhook-id": f"made-up-{answer}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(f"made-up-{answer}", now, body),
        }
        assert httpx2.post(f"{app_url}/hooks/pushpull", content=body, headers=headers).status_code == answer


# ---------------------------------------------------------------------------- with a stand-in, in no time


class FakeChat(AsyncServer):
    """Notes what the app would have asked for."""

    def __init__(self, *members: str) -> None:
        super().__init__("http://127.0.0.1:9", "a key that nobody checks")
        self.asked: list[tuple[str, str, object]] = []
        self._members = members

    async def members(self, cid: str):  # type: ignore[no-untyped-def,override]
        for user in self._members:
            yield {"user": user}

    async def add_members(self, cid: str, members: object) -> dict[str, object]:
        self.asked.append(("add", cid, members))
        return {}

    async def remove_members(self, cid: str, members: object) -> dict[str, object]:
        self.asked.append(("remove", cid, members))
        return {}


@pytest.mark.parametrize(
    ("members", "asked"),
    [
        (["ann", "kitchen", "dan"], []),
        (["ann", "kitchen"], [("add", "order-1", ["dan"])]),
        (["ann", "eve", "kitchen"], [("remove", "order-1", ["eve"]), ("add", "order-1", ["dan"])]),
    ],
)
def test_members_are_kept_in_step(members: list[str], asked: list[object]) -> None:
    async def step() -> list[tuple[str, str, object]]:
        async with FakeChat(*members) as chat:
            await keep_in_step(chat, Order(1, "ann", "soup", driver="dan"))
            return chat.asked

    assert asyncio.run(step()) == asked
