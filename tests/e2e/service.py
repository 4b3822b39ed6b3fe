"""Running services to test against: one in the test's own loop, one in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import jwt

from pushpull.model import Cid
from pushpull.node.node import Node
from pushpull.node.spans import Spans
from pushpull.settings import Auth, Delivery, Idempotency, Limits, Offline, Retention, Settings
from pushpull.settings import Server as ServerSettings
from pushpull.store.store import Store
from pushpull.web.app import create_app
from pushpull.web.auth import Authenticator
from pushpull.web.server import Server, http_config
from pushpull.web.webhook import webhook_of
from tests import documented
from tests.e2e.wire import Frame, Wire
from tests.leaks import API_KEY, SECRET, WORDS, watch
from tests.servers import free_port

START_S = 20.0

UNBOUND = {"frames_per_s": 1e6, "sends_per_s": 1e6, "conversation_sends_per_s": 1e6}
"""Tests send as fast as they can, unless they are about that."""


def token_of(uid: str, **claims: Any) -> str:
    """A token that is good for an hour, unless the claims say otherwise; a claim of None is left out."""
    now = int(time.time())
    payload = {"sub": uid, "iat": now, "exp": now + 3_600, **claims}
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, SECRET, "HS256")


class Service:
    """How tests talk to a service at `url`: over HTTP as its server and as its users, over WebSocket as devices."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.socket_url = url.replace("http", "ws", 1) + "/v1/ws"
        self._closing = contextlib.AsyncExitStack()
        self.server = self._client({"X-API-Key": API_KEY})

    def user(self, uid: str) -> httpx2.AsyncClient:
        return self._client({"Authorization": f"Bearer {token_of(uid)}"})

    def anybody(self, **headers: str) -> httpx2.AsyncClient:
        return self._client(headers)

    async def wire(self, path: str = "", *, deflate: bool = False, **headers: str) -> Wire:
        """An upgraded connection on which nothing was said."""
        wire = await Wire.open(self.socket_url + path, deflate=deflate, **headers)
        self._closing.push_async_callback(wire.leave)
        return wire

    async def device(self, uid: str, device: str = "phone", *, deflate: bool = False, **hello: Any) -> Wire:
        """An open session: `welcome` and the first page of the list are heard (`pages`: more of them)."""
        wire = await self.wire(deflate=deflate)
        await wire.greet(token=token_of(uid), device=device, **hello)
        return wire

    async def room(self, cid: str, *members: Any, **settings: Any) -> str:
        """Make a conversation. A member is a uid or {user, role}."""
        answer = await self.server.put(
            f"/v1/conversations/{cid}", json={"members": list(members), "settings": settings}
        )
        assert answer.status_code == 201, answer.text
        return cid

    async def join(self, cid: str, *members: Any) -> None:
        answer = await self.server.post(f"/v1/conversations/{cid}/members", json={"add": list(members)})
        assert answer.status_code == 200, answer.text

    async def remove(self, cid: str, *members: str) -> None:
        answer = await self.server.post(f"/v1/conversations/{cid}/members", json={"remove": list(members)})
        assert answer.status_code == 200, answer.text

    async def post(self, cid: str, cmid: str, body: Any = WORDS, *, sender: str | None = None, **fields: Any) -> str:
        """Send over HTTP with the server's key; returns the log id."""
        message = {"cmid": cmid, "body": body, **({} if sender is None else {"from": sender}), **fields}
        answer = await self.server.post(f"/v1/conversations/{cid}/messages", json=message)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def post_many(self, cid: str, numbers: range, *, sender: str | None = None) -> None:
        """Messages whose body and cmid are these numbers."""
        origin = {} if sender is None else {"from": sender}
        batch = [{"cid": cid, "cmid": str(number), "body": number, **origin} for number in numbers]
        answer = await self.server.post("/v1/messages", json=batch)
        assert [one.get("dup") for one in answer.json()] == [False] * len(batch), answer.text

    async def row(self, uid: str, cid: str) -> Frame:
        """The conversation as its member sees it."""
        rows = (await self.server.get(f"/v1/users/{uid}/conversations")).json()["conversations"]
        found: Frame = next(row for row in rows if row["cid"] == cid)
        return found

    async def close(self) -> None:
        await self._closing.aclose()

    def _client(self, headers: dict[str, str]) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=20,
            trust_env=False,
            event_hooks={"response": [_hold_to_the_document]},
        )
        self._closing.push_async_callback(client.aclose)
        return client


class LocalService(Service):
    """A service in this process: its node is at hand."""

    def __init__(self, url: str, node: Node) -> None:
        super().__init__(url)
        self.node = node

    async def heard(self, cid: str, head: int, within: float = 5.0) -> None:
        """Wait until the node has heard of the message at `head`: an answer to a send may come before its bell."""
        async with asyncio.timeout(within):
            while (feed := self.node.parts.feeds.get(Cid(cid))) is None or feed.tail.head < head:
                await asyncio.sleep(0.005)


async def _hold_to_the_document(answer: httpx2.Response) -> None:
    body, request = await answer.aread(), answer.request
    media_type = answer.headers.get("Content-Type", "")
    documented.check_answer(request.method, request.url.path, answer.status_code, media_type, body)


def settings_of(**sections: dict[str, Any]) -> Settings:
    """Settings for a test: short intervals unless it says otherwise."""
    delivery = {"cursor_flush_ms": 30, "notify_interval_ms": 50, **sections.get("delivery", {})}
    server = {"port": 0, "drain_s": 0.2, **sections.get("server", {})}
    return Settings(
        auth=Auth(jwt_secret=(SECRET,), api_keys=(API_KEY,), **sections.get("auth", {})),
        delivery=Delivery(**delivery),
        server=ServerSettings(**server),
        limits=Limits(**UNBOUND | sections.get("limits", {})),
        retention=Retention(**sections.get("retention", {})),
        idempotency=Idempotency(**sections.get("idempotency", {})),
        offline=Offline(**sections.get("offline", {})),
    )


@contextlib.asynccontextmanager
async def serving(settings: Settings, redis_url: str, spans: Spans | None = None) -> AsyncIterator[LocalService]:
    """A service in this loop, on a port of its own, by the same parts as `pushpull serve`.

    It sheds nothing (tests/node/test_relief.py): its loop is late when the machine or the test itself is.
    """
    store = await Store.open(settings, url=redis_url)
    webhook = webhook_of(settings.offline)
    node = Node(settings, store, webhook, spans)
    node.parts.hub.relief.adapt = lambda strain: None  # type: ignore[method-assign]
    authenticator = Authenticator(settings.auth)
    await node.start()
    config = http_config(settings, create_app(node, authenticator))
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    service = LocalService(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", node)
    try:
        yield service
    finally:
        await service.close()
        await _stop(server)
        await node.stop()
        if webhook is not None:
            await webhook.aclose()
        await authenticator.aclose()
        await store.aclose()


async def _stop(server: Server) -> None:
    """What uvicorn's own shutdown does, without its pauses of a tenth of a second: there are hundreds of tests."""
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    async with asyncio.timeout(5):
        while server.server_state.connections or server.server_state.tasks:
            await asyncio.sleep(0.002)


class ServiceProcess:
    """`pushpull serve` in a process of its own, on a port it keeps over restarts; its output is in a file."""

    def __init__(self, directory: Path, redis_url: str, **settings: Any) -> None:
        """`settings`: section__key=value, as in the environment. `environ` is that of the next start."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = directory
        self._output = directory / "output"
        watch.file(self._output)
        named = {
            "redis__url": redis_url,
            "server__port": self.port,
            "auth__jwt_secret": SECRET,
            "auth__api_keys": API_KEY,
            "log__format": "console",
            **{f"limits__{name}": value for name, value in UNBOUND.items()},
            **settings,
        }
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PUSHPULL_")},
            **{f"PUSHPULL_{name.upper()}": str(value) for name, value in named.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from pushpull.cli import main; main()", "serve"],
                cwd=self._directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        give_up = time.monotonic() + START_S
        while not self._ready():
            assert self._process.poll() is None, f"it ended with {self._process.returncode}:\n{self.output}"
            assert time.monotonic() < give_up, f"it was not ready within {START_S} s:\n{self.output}"
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """The processes that it started and that run."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in listed]

    def signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=30)

    def stop(self) -> int:
        """SIGTERM, and wait for the end of the drain; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
