"""Nothing secret reaches a log: what the watch over the whole run can see, and a service that is made to talk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushpull.client import connect
from pushpull.config import load
from tests.e2e.conftest import ServeProcess
from tests.e2e.service import LocalService, Service, ServiceProcess, token_of
from tests.leaks import API_KEY, PASSWORD, SECRET, WEBHOOK_SECRET, WORDS, LeakWatch, watch
from tests.servers import RedisServer

log = logging.getLogger("pushpull.tests.planted")


@pytest.fixture(autouse=True)
def _planted_on_purpose() -> Iterator[None]:
    """What these tests plant must be found by themselves: here nothing is left for the watch over all tests."""
    yield
    assert watch.take() == [], "found by the watch over all tests, and not by the test"


@pytest.mark.parametrize("secret", [SECRET, API_KEY, WORDS, PASSWORD, WEBHOOK_SECRET, token_of("bob")], ids=range(6))
def test_a_secret_in_any_record_is_found(secret: str) -> None:
    log.debug("said %s", {"body": secret})

    (found,) = watch.take()
    assert "pushpull.tests.planted, DEBUG" in found
    assert secret not in found, "the report of a leak is a log, too"


def test_a_secret_in_a_traceback_is_found() -> None:
    try:
        raise ValueError(f"cannot take {WORDS}")
    except ValueError:
        log.exception("failed")

    assert len(watch.take()) == 1


def test_a_secret_is_found_whatever_handlers_a_test_has_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    logging.getLogger("some.library").warning(API_KEY)

    assert len(watch.take()) == 1


def test_a_secret_in_the_output_of_a_service_is_found_once(tmp_path: Path) -> None:
    mine, output = LeakWatch(), tmp_path / "output"
    mine.file(output)
    assert mine.take() == []

    output.write_text(f"all is well\nAuthorization: {token_of('bob')}\n")

    assert len(mine.take()) == 1
    assert mine.take() == []


def test_output_of_service_processes_is_watched(tmp_path: Path) -> None:
    ServiceProcess(tmp_path, "redis://127.0.0.1:1")
    (tmp_path / "output").write_text(f"{WORDS}\n")

    assert len(watch.take()) == 1


def test_what_is_scrubbed_is_no_leak() -> None:
    log.debug("GET /v1/ws?token=%s and Bearer %s", token_of("bob"), token_of("alice"))

    assert watch.take() == []


def test_settings_show_no_secret() -> None:
    flags = {
        "auth.jwt_secret": SECRET,
        "auth.api_keys": API_KEY,
        "redis.url": f"redis://app:{PASSWORD}@127.0.0.1:6390",
        "offline.webhook_url": "https://app.example/hook",
        "offline.webhook_secret": WEBHOOK_SECRET,
    }
    settings, _ = load(flags=flags)

    log.debug("%r %s %r", settings, settings, [settings.auth, settings.redis, settings.offline])

    assert watch.take() == []


async def test_a_client_at_debug_tells_no_token(furnished: LocalService) -> None:
    async with connect(furnished.url, token=token_of("bob"), device="phone") as chat:
        await chat.send("room", WORDS)

    assert watch.take() == []


WRONG = [
    f'{{"type":"send","cid":"room","cmid":"c","body":"{WORDS}"',
    f'{{"type":"send","cid":"room","cmid":5,"body":"{WORDS}"}}',
    f'{{"type":"send","cid":"room","cmid":"c","body":"{WORDS}\\ud800"}}',
    f'{{"type":"send","cid":"room","cmid":"c","body":"{WORDS}","kind":"redact"}}',
    f'{{"type":"send","cid":"nowhere","cmid":"c","body":"{WORDS}"}}',
    f'{{"type":"send","cid":"room","cmid":"c","body":"{WORDS}","mentions":["no blanks"]}}',
    f'{{"type":"send","cid":"room","cmid":"first","body":["{WORDS}"]}}',
    f'["{WORDS}"]',
    f'"{WORDS}"',
]
BODIES = [
    f'{{"cmid":"c","body":"{WORDS}"',
    f'{{"cmid":"c","body":"{WORDS}\\ud800"}}',
    f'{{"cmid":["{WORDS}"],"body":1}}',
    f'"{WORDS}"',
]


async def talk_wrongly(service: Service) -> None:
    """Everything right and wrong that may bring a secret near a log."""
    bob = await service.device("bob")
    await bob.say("send", cid="room", cmid="first", body=WORDS)
    for text in WRONG:
        await bob.say_text(text)
    await bob.say_text(WORDS.encode())
    assert (await bob.closed())[0] == 4400
    for token in (token_of("bob", exp=1), token_of("bob", nbf=4_000_000_000), token_of("a b"), API_KEY):
        wire = await service.wire(f"?token={token}", Authorization=f"Bearer {token}")
        assert (await wire.closed())[0] == 4401
        wire = await service.wire()
        await wire.say("hello", device="phone", token=token)
        assert (await wire.closed())[0] == 4401
        refused = await service.anybody(Authorization=f"Bearer {token}").get(f"/v1/nodes?token={token}")
        assert refused.status_code == 401
        assert (await service.anybody(X_API_Key=token + "x").get("/v1/nodes")).status_code == 401
    for body in BODIES:
        for path in ("/v1/conversations/room/messages", "/v1/messages", "/v1/conversations/room"):
            method = "PUT" if path.endswith("room") else "POST"
            answer = await service.server.request(method, path, content=body)
            assert WORDS not in answer.text
            assert answer.status_code == 400 or path.endswith("room"), "fields nobody knows are passed over"
    await service.server.put("/v1/conversations/room", json={"settings": {"data": WORDS * 1_000}})
    await service.server.delete("/v1/conversations/room/messages/1")


@pytest.mark.parametrize("path", ["direct", "asgi"])
async def test_a_service_at_debug_tells_nothing(
    path: str,
    serve_process: ServeProcess,
    talk: Callable[[ServiceProcess], Service],
    start_redis: Callable[..., RedisServer],
) -> None:
    redis = start_redis(appendonly=False)
    redis.ask("ACL", "SETUSER", "app", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    process = serve_process(
        url=f"unix://app:{PASSWORD}@{redis.socket_path}",
        server__websocket=path,
        server__token_in_query=True,
        log__level="debug",
        offline__webhook_url="https://app.example/hook",
        offline__webhook_secret=WEBHOOK_SECRET,
    )
    service = talk(process)
    await service.room("room", "bob", "alice")
    await service.post("room", "zero")

    await talk_wrongly(service)
    redis.kill()
    refused = await service.server.post("/v1/conversations/room/messages", json={"cmid": "late", "body": WORDS})

    assert (refused.status_code, PASSWORD in refused.text) == (503, False)
    process.stop()
    assert "DEBUG" in process.output, "it was to talk"
    assert watch.take() == []


async def test_a_service_that_cannot_start_tells_no_password(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path, f"redis://app:{PASSWORD}@127.0.0.1:notaport/{PASSWORD}")

    with pytest.raises(AssertionError) as failed:
        process.start()

    assert PASSWORD not in process.output
    assert PASSWORD not in str(failed.value)
    assert watch.take() == []
