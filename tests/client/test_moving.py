"""Exports that are read to their last line, imports that are sent again, by both server clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pushpull.client import AsyncServer, Server, backend
from pushpull.client.moving import TRIES, Lines
from pushpull.errors import Invalid, NoSuchConversation, PushpullError, StoreUnavailable

FIRST, END = b'{"type":"conversation","format":1}\n', b'{"type":"end","messages":0}\n'
DONE = {"cid": "c", "made": True}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_jitter", lambda state: 0.0)


def away() -> httpx2.Response:
    return httpx2.Response(503, json={"code": "store_unavailable", "detail": "redis is away"})


def client_of(answer: Callable[[httpx2.Request], httpx2.Response]) -> Server:
    made = Server("http://service", "k")
    made._client = httpx2.Client(**made._client_options, transport=httpx2.MockTransport(answer))
    return made


class Taking:
    """Reads what is sent, and answers one after the other."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request.read())
        return self.answers.pop(0)

    async def later(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(await request.aread())
        return self.answers.pop(0)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_export_is_handed_out_line_by_line(size: int) -> None:
    text, lines, found = FIRST + END, Lines("c"), []
    for at in range(0, len(text), size):
        found += lines.take(text[at : at + size])
    lines.finish()
    assert found == [FIRST, END]


@pytest.mark.parametrize("text", [b"", FIRST, FIRST + END[:-1], FIRST + END + b"{", FIRST + b"[]\n", b"<html>\n"])
def test_an_export_that_does_not_come_to_its_end_is_told(text: bytes) -> None:
    lines = Lines("c")
    lines.take(text)
    with pytest.raises(StoreUnavailable, match="the export of c was cut off before its last line"):
        lines.finish()


def test_what_stopped_an_export_is_raised() -> None:
    lines = Lines("c")
    lines.take(FIRST + b'{"type":"error","error":{"code":"no_such_conversation","detail":"gone"}}\n')
    with pytest.raises(NoSuchConversation, match="gone"):
        lines.finish()


def test_an_export_is_asked_for_again_until_its_first_line_comes() -> None:
    answers = [away(), httpx2.Response(200, content=FIRST + END)]
    with client_of(lambda request: answers.pop(0)) as server:
        assert list(server.export_conversation("c")) == [FIRST, END]


def test_an_export_of_nothing_says_so() -> None:
    missing = httpx2.Response(404, json={"code": "no_such_conversation", "detail": "conversation c does not exist"})
    with client_of(lambda request: missing) as server, pytest.raises(NoSuchConversation):
        list(server.export_conversation("c"))


def test_a_connection_that_breaks_is_no_end() -> None:
    def broken() -> Iterator[bytes]:
        yield FIRST
        raise httpx2.ReadError("reset")

    with (
        client_of(lambda request: httpx2.Response(200, content=broken())) as server,
        pytest.raises(StoreUnavailable, match="was cut off"),
    ):
        list(server.export_conversation("c"))


def as_path(tmp_path: Path) -> Any:
    path = tmp_path / "c.ndjson"
    path.write_bytes(FIRST + END)
    return path


def as_function(tmp_path: Path) -> Any:
    return lambda: iter([FIRST, END])


def as_bytes(tmp_path: Path) -> Any:
    return FIRST + END


@pytest.mark.parametrize("source", [as_path, as_function, as_bytes])
async def test_a_file_that_can_be_opened_again_is_sent_again_whole(
    source: Callable[[Path], Any], tmp_path: Path
) -> None:
    taking = Taking(away(), httpx2.Response(201, json=DONE))
    with client_of(taking) as server:
        assert server.import_conversation("c", source(tmp_path)) == DONE
    assert taking.sent == [FIRST + END] * 2

    taking = Taking(away(), httpx2.Response(201, json=DONE))
    async with AsyncServer("http://service", "k") as made:
        made._client = httpx2.AsyncClient(**made._client_options, transport=httpx2.MockTransport(taking.later))
        assert await made.import_conversation("c", source(tmp_path)) == DONE
    assert taking.sent == [FIRST + END] * 2


def test_a_long_import_that_fails_late_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taking = Taking(*(away() for _ in range(TRIES - 1)), httpx2.Response(201, json=DONE))
    with client_of(taking) as server:
        server._retry = server._rules(retry_s=0.0)  # as if the first try had taken longer than that
        assert server.import_conversation("c", FIRST + END) == DONE


def test_what_can_be_read_once_is_sent_once() -> None:
    taking = Taking(away())
    with client_of(taking) as server, pytest.raises(StoreUnavailable):
        server.import_conversation("c", iter([FIRST, END]))
    assert taking.sent == [FIRST + END]


async def test_lines_may_come_from_a_loop() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield FIRST
        yield END

    taking = Taking(httpx2.Response(201, json=DONE))
    async with AsyncServer("http://service", "k") as made:
        made._client = httpx2.AsyncClient(**made._client_options, transport=httpx2.MockTransport(taking.later))
        await made.import_conversation("c", lines())
    assert taking.sent == [FIRST + END]


def test_a_line_that_is_refused_is_not_sent_again() -> None:
    refusal = httpx2.Response(422, json={"code": "invalid", "detail": "line 2: ts None"})
    taking = Taking(refusal)
    with client_of(taking) as server, pytest.raises(Invalid, match="line 2: ts None"):
        server.import_conversation("c", lambda: [FIRST])
    assert len(taking.sent) == 1


def test_an_import_is_given_up_by_its_name() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx2.Response(204)

    with client_of(answer) as server:
        server.give_up_import("c")
    assert asked == ["DELETE /v1/conversations/c/import"]
    with pytest.raises(PushpullError), client_of(answer) as server:
        server.give_up_import("no name")
