"""A real nginx, as deploy/nginx ships it, before two nodes: what it lets through, sends elsewhere and keeps out."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from pushpull.errors import StoreUnavailable
from pushpull.web.bodies import BATCH_BYTES, MEMBERS_BYTES
from tests.e2e.service import LocalService, Service, serving, settings_of, token_of
from tests.servers import Nginx, free_port

StartNginx = Callable[..., Nginx]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """Start one before two ports: `start_nginx([8080, 8081], tls=(certificate, key))`."""
    started: list[Nginx] = []

    def start(ports: list[int], **given: Any) -> Nginx:
        nginx = Nginx(tmp_path, ports, **given)
        started.append(nginx)
        nginx.start()
        return nginx

    yield start
    for nginx in started:
        nginx.stop()


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[list[LocalService]]:
    async with AsyncExitStack() as stack:
        settings = settings_of(server={"drain_s": 10})
        yield [await stack.enter_async_context(serving(settings, redis_url)) for _ in range(2)]


@pytest.fixture
def nginx(nodes: list[LocalService], start_nginx: StartNginx) -> Nginx:
    return start_nginx([port_of(node) for node in nodes])


@pytest.fixture
async def service(nginx: Nginx) -> AsyncIterator[Service]:
    """The service as it is seen through nginx."""
    async with through(nginx) as service:
        yield service


@asynccontextmanager
async def through(nginx: Nginx) -> AsyncIterator[Service]:
    service = Service(nginx.url)
    try:
        yield service
    finally:
        await service.close()


def port_of(node: Service) -> int:
    port = urlsplit(node.url).port
    assert port is not None
    return port


def sockets_of(nodes: list[LocalService]) -> list[int]:
    return [len(node.node.parts.peers) for node in nodes]


# ---------------------------------------------------------------------------------------------------- let through


async def test_devices_on_both_nodes_talk_through_it(service: Service, nodes: list[LocalService]) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob", deflate=True)

    await alice.say("send", cid="room", cmid="c1", body="Hello, Bob")

    assert (await bob.collect("room", 1))[0]["body"] == "Hello, Bob"
    assert bob.extensions, "what compression was agreed on is between device and node"
    assert sockets_of(nodes) == [1, 1]


async def test_a_page_of_its_own_origin_may_connect_and_another_may_not(nginx: Nginx, service: Service) -> None:
    bob = await service.wire(Origin=nginx.url)
    await bob.greet(token=token_of("bob"))

    with pytest.raises(InvalidStatus) as refused:
        await service.wire(Origin="https://elsewhere.example")

    assert refused.value.response.status_code == 403


async def test_a_body_as_large_as_a_call_may_have_reaches_the_node(service: Service) -> None:
    assert MEMBERS_BYTES == BATCH_BYTES, "nginx has one bound for all calls"

    judged = await service.server.post("/v1/messages", content=b"x" * BATCH_BYTES)
    kept_out = await service.server.post("/v1/messages", content=b"x" * (BATCH_BYTES + 1))

    assert (judged.status_code, judged.json()["code"]) == (400, "bad_request")
    assert (kept_out.status_code, kept_out.json()["code"]) == (413, "too_large")


async def test_a_conversation_moves_through_it_however_large(service: Service) -> None:
    await service.room("room", "bob")
    for number in range(20):
        batch = [{"cid": "room", "cmid": f"{number}-{one}", "body": "x" * 60_000} for one in range(8)]
        assert (await service.server.post("/v1/messages", json=batch)).status_code == 200

    exported = await service.server.get("/v1/conversations/room/export")
    imported = await service.server.post("/v1/conversations/copy/import", content=exported.content)

    assert len(exported.content) > BATCH_BYTES
    assert (exported.status_code, imported.status_code) == (200, 201)
    assert (await service.row("bob", "copy"))["head"] == 160


async def test_tls_ends_at_it(nodes: list[LocalService], start_nginx: StartNginx) -> None:
    certificate, key = self_signed()
    nginx = start_nginx([port_of(node) for node in nodes], tls=(certificate, key))
    trusting = ssl.create_default_context(cadata=certificate)
    place = f"127.0.0.1:{nginx.tls_port}"

    async with httpx2.AsyncClient(verify=trusting, trust_env=False) as anybody:
        alive = await anybody.get(f"https://{place}/healthz")
    async with connect(f"wss://{place}/v1/ws", ssl=trusting, origin=f"https://{place}", proxy=None) as socket:  # type: ignore[arg-type]
        await socket.send(json.dumps({"type": "hello", "device": "phone", "token": token_of("bob")}))
        welcome = json.loads(await socket.recv())

    assert (alive.status_code, welcome["type"]) == (200, "welcome")
    assert alive.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_nginx_takes_the_configuration_with_and_without_tls(tmp_path: Path) -> None:
    for number, tls in enumerate((None, self_signed())):
        directory = tmp_path / str(number)
        directory.mkdir()
        assert "test is successful" in Nginx(directory, [1, 2], tls=tls).check()


# ---------------------------------------------------------------------------------------------------- sent elsewhere


async def test_devices_that_come_while_a_node_drains_get_the_other(service: Service, nodes: list[LocalService]) -> None:
    stays = await nodes[0].device("alice")
    draining = asyncio.create_task(nodes[0].node.drain())
    await stays.hear("drain")

    for number in range(4):
        await service.device("bob", f"phone-{number}")

    assert not draining.done(), "they came while it drained"
    assert sockets_of(nodes) == [1, 4]
    await stays.leave()
    await draining


async def test_a_node_that_is_down_costs_nobody_anything(nodes: list[LocalService], start_nginx: StartNginx) -> None:
    async with through(start_nginx([free_port(), port_of(nodes[0])])) as service:
        await service.room("room", "bob")
        for number in range(4):
            await service.post("room", f"c{number}")
            await service.device("bob", f"phone-{number}")
            exported = await service.server.get("/v1/conversations/room/export")
            imported = await service.server.post(f"/v1/conversations/copy-{number}/import", content=exported.content)
            assert (exported.status_code, imported.status_code) == (200, 201)


async def test_a_send_that_one_node_cannot_store_goes_to_the_other(
    service: Service, nodes: list[LocalService], monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.room("room", "bob")
    refused = refuse(nodes[0], monkeypatch)

    for number in range(4):
        await service.post("room", f"c{number}")

    assert refused, "the first node was asked, too"


async def test_the_service_s_own_word_comes_through_where_no_node_can_store(
    service: Service, nodes: list[LocalService], monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.room("room", "bob")
    asked = [refuse(node, monkeypatch) for node in nodes]

    answer = await service.server.post("/v1/conversations/room/messages", json={"cmid": "c", "body": 1})

    assert (answer.status_code, answer.json()["detail"]) == (503, "this node is in trouble")
    assert [len(times) for times in asked] == [1, 1]


async def test_what_a_node_refused_is_asked_of_no_other_unless_it_carries_a_cmid(
    service: Service, nodes: list[LocalService], monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.room("room", "bob")
    asked: list[None] = []

    async def fails(*_: object) -> NoReturn:
        asked.append(None)
        raise StoreUnavailable("this node is in trouble")

    for node in nodes:
        monkeypatch.setattr(node.node.store.members, "add", fails)
    answer = await service.server.post("/v1/conversations/room/members", json={"add": ["carol"]})

    assert (answer.status_code, len(asked)) == (503, 1)


async def test_without_any_node_callers_are_told_in_the_words_of_the_contract(start_nginx: StartNginx) -> None:
    async with through(start_nginx([free_port(), free_port()])) as service:
        answer = await service.server.get("/v1/nodes")
        with pytest.raises(InvalidStatus) as refused:
            await service.wire()

    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "store_unavailable", "1")
    assert refused.value.response.status_code == 503


# ---------------------------------------------------------------------------------------------------- kept out


async def test_calls_are_counted_by_the_address_they_come_from_and_those_of_backends_are_not(
    start_nginx: StartNginx,
) -> None:
    nginx = start_nginx([free_port(), free_port()])  # no node: 503 is what it says to those it would let through

    one_too_many = await statuses(nginx, 800, "127.0.0.1")
    from_elsewhere = await statuses(nginx, 1, "127.0.0.2")
    of_a_backend = await statuses(nginx, 800, "127.0.0.1", "X-API-Key: some-key\r\n")

    assert set(one_too_many) == {503, 429}
    assert one_too_many[:500] == [503] * 500, "as many may come at once"
    assert (from_elsewhere, set(of_a_backend)) == ([503], {503})


async def test_whoever_calls_too_often_is_told_in_the_words_of_the_contract(start_nginx: StartNginx) -> None:
    nginx = start_nginx([free_port(), free_port()])
    said = await said_to(nginx, 800, "127.0.0.1")

    refusal = said[said.index(b"HTTP/1.1 429") :]
    header, _, body = refusal.partition(b"\r\n\r\n")
    assert json.loads(body[: body.index(b"}") + 1])["code"] == "rate_limited"
    assert b"Retry-After: 1" in header


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
async def test_what_is_for_operators_stays_inside(nginx: Nginx, path: str) -> None:
    async with httpx2.AsyncClient(base_url=nginx.url, trust_env=False) as anybody:
        assert (await anybody.get(path)).status_code == 404


async def test_its_log_names_callers_and_nodes_and_holds_no_query(
    nginx: Nginx, service: Service, nodes: list[LocalService]
) -> None:
    bob = await service.wire("?token=a-token-in-the-address")
    await bob.leave()
    async with asyncio.timeout(5):
        while "/v1/ws" not in nginx.log:
            await asyncio.sleep(0.01)

    (line,) = map(json.loads, nginx.log.splitlines())

    assert (line["address"], line["path"], line["status"]) == ("127.0.0.1", "/v1/ws", 101)
    assert line["node"] in {f"127.0.0.1:{port_of(node)}" for node in nodes}
    assert "a-token-in-the-address" not in nginx.log


# ---------------------------------------------------------------------------------------------------- means


async def said_to(nginx: Nginx, count: int, address: str, header: str = "") -> bytes:
    """The answers to so many calls from this address, which are asked all at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port, local_addr=(address, 0))
    call = f"GET /v1/nodes HTTP/1.1\r\nHost: x\r\n{header}"
    writer.write((f"{call}\r\n" * (count - 1) + f"{call}Connection: close\r\n\r\n").encode())
    async with asyncio.timeout(20):
        answers = await reader.read()
    writer.close()
    return answers


async def statuses(nginx: Nginx, count: int, address: str, header: str = "") -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", await said_to(nginx, count, address, header))]


def refuse(node: LocalService, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """From now on this node stores nothing; the list grows with each send that it refuses."""
    refused: list[None] = []

    async def fails(draft: object) -> NoReturn:
        refused.append(None)
        raise StoreUnavailable("this node is in trouble")

    monkeypatch.setattr(node.node, "send", fails)
    return refused


def self_signed() -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key, good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pushpull")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()
