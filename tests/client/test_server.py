"""The backend's clients against scripted HTTP answers: what is asked, what is raised, what is tried again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import orjson
import pytest

from pushpull.client import AsyncServer, Server, backend
from pushpull.errors import (
    BY_CODE,
    CmidConflict,
    ConfigError,
    Invalid,
    NoSuchConversation,
    PushpullError,
    StoreUnavailable,
)
from pushpull.model import Sent

Answer = httpx2.Response | Exception
SECRET = "a secret that is long enough for HS256"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_jitter", lambda state: 0.0)


class Asked:
    """The requests that were made; answers them one after the other, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def body(self, index: int = -1) -> Any:
        return orjson.loads(self.requests[index].content)

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


def ok(answer: Any = None, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, content=b"" if answer is None else orjson.dumps(answer))


def problem(status: int, code: str, **more: Any) -> httpx2.Response:
    content = {"code": code, "title": code, "detail": f"what {code} means here", "status": status, **more}
    return httpx2.Response(status, json=content, headers={"content-type": "application/problem+json"})


def server(asked: Asked, **options: Any) -> Server:
    made = Server("http://service:8080/", "the-key", **options)
    made._client = httpx2.Client(**made._client_options, transport=httpx2.MockTransport(asked))
    return made


SENT = {"cid": "c", "cmid": "m1", "id": "1-1", "dup": False}


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda s: s.get_conversation("c"), "GET /v1/conversations/c"),
        (lambda s: s.delete_conversation("c"), "DELETE /v1/conversations/c"),
        (lambda s: s.redact("c", 7), "DELETE /v1/conversations/c/messages/7"),
        (lambda s: s.cursors("c", "bob", read=4), "PUT /v1/conversations/c/cursors/bob"),
        (lambda s: s.pending("c"), "GET /v1/conversations/c/pending"),
        (lambda s: s.pending("c", user="bob", limit=5), "GET /v1/conversations/c/pending?user=bob&limit=5"),
        (lambda s: s.receipts("c", 7), "GET /v1/conversations/c/receipts/7"),
        (lambda s: s.presence("c"), "GET /v1/conversations/c/presence"),
        (lambda s: s.trace("c", "bob", seq=7), "GET /v1/conversations/c/trace?user=bob&seq=7"),
        (
            lambda s: s.trace("c", "bob", cmid="m 1", sender="ann"),
            "GET /v1/conversations/c/trace?user=bob&cmid=m+1&from=ann",
        ),
        (lambda s: s.user_conversations("bob"), "GET /v1/users/bob/conversations?limit=100"),
        (lambda s: s.unread("bob"), "GET /v1/users/bob/unread"),
        (lambda s: s.offline(limit=5), "GET /v1/offline?limit=5"),
        (lambda s: s.kick("bob"), "DELETE /v1/users/bob/sessions"),
        (lambda s: s.kick("bob", "s1"), "DELETE /v1/users/bob/sessions/s1"),
        (lambda s: s.revoke_before("bob", 5), "PUT /v1/users/bob/revoked_before"),
        (lambda s: s.delete_user("bob", messages="keep"), "DELETE /v1/users/bob?messages=keep"),
        (lambda s: s.deletion("bob"), "GET /v1/users/bob/deletion"),
        (lambda s: s.policy(), "GET /v1/policy"),
        (lambda s: s.ready(), "GET /readyz"),
    ],
)
def test_each_call_asks_for_what_the_contract_names(call: Callable[[Server], Any], line: str):
    asked = Asked(ok({}))
    call(server(asked))
    assert asked.lines == [line]
    assert asked.requests[0].headers["x-api-key"] == "the-key"


def test_a_conversation_is_made_with_members_and_their_roles():
    asked = Asked(ok({}, 201))
    server(asked).put_conversation("c", members=["ann", ("bob", "reader")], settings={"mode": "push"})
    assert asked.body() == {"members": ["ann", {"user": "bob", "role": "reader"}], "settings": {"mode": "push"}}


def test_a_sent_message_carries_a_cmid_and_only_what_was_given():
    asked = Asked(ok(SENT, 201))
    sent = server(asked).send("c", {"text": "hi"}, sender="ann")
    assert sent == Sent("c", "m1", "1-1", False)
    body = asked.body()
    assert len(body.pop("cmid")) == 32
    assert body == {"body": {"text": "hi"}, "from": "ann"}


def test_a_lost_answer_is_asked_again_under_the_same_cmid():
    asked = Asked(httpx2.ReadError("cut"), problem(503, "store_unavailable"), ok(SENT))
    server(asked).send("c", "hi")
    assert len({asked.body(index)["cmid"] for index in range(3)}) == 1


def test_what_no_retry_helps_is_asked_once():
    asked = Asked(problem(409, "cmid_conflict"))
    with pytest.raises(CmidConflict, match="what cmid_conflict means here"):
        server(asked).send("c", "hi")
    assert len(asked.requests) == 1


def test_a_service_that_stays_away_is_given_up_on():
    asked = Asked(httpx2.ConnectError("refused"))
    with pytest.raises(StoreUnavailable, match="no answer from http://service:8080: ConnectError"):
        server(asked, retry_s=0.0).get_conversation("c")


def test_an_attempt_that_used_up_all_the_time_is_followed_by_one_more():
    asked = Asked(httpx2.ReadTimeout("slow"), ok(SENT))
    assert server(asked, retry_s=0.0).send("c", "hi").id == "1-1"


def test_the_waiting_time_of_the_service_is_kept(monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    server(Asked(problem(429, "rate_limited", retry_after_ms=1500), ok({}))).get_conversation("c")
    assert waited == [1.5]


def test_an_unknown_conversation_is_named_as_such():
    with pytest.raises(NoSuchConversation):
        server(Asked(problem(404, "no_such_conversation"))).get_conversation("c")


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_code_of_the_contract_becomes_its_own_exception(code: str):
    with pytest.raises(BY_CODE[code]):
        server(Asked(problem(400, code, retry_after_ms=1)), retry_s=0.0).get_conversation("c")


def test_something_else_at_the_address_is_said_so():
    page = httpx2.Response(404, content=b"<html>not here</html>")
    with pytest.raises(PushpullError, match="is this the address of a pushpull service"):
        server(Asked(page)).get_conversation("c")


def test_many_are_sent_in_one_call_and_a_bad_one_fails_alone():
    failed = {"cid": "c", "cmid": "b", "error": {"code": "not_a_member", "detail": "bob is no member of c"}}
    asked = Asked(ok([SENT, failed]))
    first, second = server(asked).send_many(
        [{"cid": "c", "body": 1, "from": "ann"}, {"cid": "c", "body": 2, "cmid": "b"}]
    )
    assert isinstance(first, Sent)
    assert isinstance(second, PushpullError)
    assert second.code == "not_a_member"
    assert [item.get("from") for item in asked.body()] == ["ann", None]


def test_a_batch_item_without_a_body_or_with_a_strange_field_is_refused_here():
    with pytest.raises(Invalid, match="has no 'body'"):
        server(Asked(ok([]))).send_many([{"cid": "c"}])
    with pytest.raises(Invalid, match="shiny"):
        server(Asked(ok([]))).send_many([{"cid": "c", "body": 1, "shiny": 1}])


def test_members_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pushpull.client.calls.MEMBERS_PAGE", 2)
    first = {"members": [{"user": "a"}, {"user": "b"}], "next": "0~b"}
    asked = Asked(ok(first), ok({"members": [{"user": "c"}], "next": None}))
    assert [row["user"] for row in server(asked).members("c")] == ["a", "b", "c"]
    assert asked.lines[1].endswith("?after=0~b&limit=2")


def page(after: int, upto: int, head: int) -> httpx2.Response:
    items = [
        {"id": f"{seq}-1", "seq": seq, "ts": 1, "cmid": "m", "kind": "message", "body": seq}
        for seq in range(after + 1, upto + 1)
    ]
    fields = {"cid": "c", "after": after, "upto": upto, "upto_id": f"{upto}-1", "head": head, "floor": 1}
    return ok({"type": "messages", "items": items, **fields})


def test_messages_are_read_forward_up_to_the_head():
    asked = Asked(page(0, 2, 3), page(2, 3, 3))
    assert [message.seq for message in server(asked).messages("c")] == [1, 2, 3]
    assert asked.lines[1].endswith("?after=2&limit=500")


def test_an_empty_page_ends_the_reading():
    asked = Asked(page(0, 0, 3))
    assert list(server(asked).messages("c")) == []


def test_history_is_a_page_with_more_or_without():
    item = {"id": "8-1", "seq": 8, "ts": 1, "cmid": "m", "kind": "message", "body": "old", "from": "ann"}
    asked = Asked(ok({"type": "history", "cid": "c", "before": 9, "items": [item], "floor": 3, "more": True}))
    found = server(asked).history("c", before=9, limit=1)
    assert (found.messages[0].sender, found.floor, found.more) == ("ann", 3, True)
    assert asked.lines == ["GET /v1/conversations/c/messages?before=9&limit=1"]


def test_a_service_that_is_not_ready_says_why():
    asked = Asked(ok({"ready": False, "checks": {"redis": "unreachable"}}, 503))
    assert server(asked).ready() == {"ready": False, "checks": {"redis": "unreachable"}}
    assert len(asked.requests) == 1


def test_an_operator_asks_how_the_nodes_do_and_what_is_busy():
    asked = Asked(ok({"nodes": []}), ok({"conversations": [{"cid": "tea"}]}))
    assert server(asked).stats() == {"nodes": []}
    assert server(asked).busiest(limit=5) == [{"cid": "tea"}]
    assert asked.lines == ["GET /v1/stats", "GET /v1/conversations?limit=5"]


def test_a_cid_that_is_none_is_not_sent():
    asked = Asked(ok({}))
    with pytest.raises(Invalid, match="cid"):
        server(asked).get_conversation("../nodes")
    assert asked.requests == []


def test_a_token_names_its_user_and_its_end():
    token = Server("http://service", "k", jwt_secret=SECRET).token("ann", ttl_s=60)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["sub"] == "ann"
    assert claims["exp"] - claims["iat"] == 60


def test_without_a_secret_there_are_no_tokens():
    with pytest.raises(ConfigError, match="jwt_secret"):
        Server("http://service", "k").token("ann")


def test_a_url_of_another_kind_is_refused():
    with pytest.raises(Invalid, match="ws://service"):
        Server("ws://service", "k")


async def test_the_async_client_does_the_same():
    asked = Asked(httpx2.ReadError("cut"), ok(SENT), page(0, 2, 2))
    async with AsyncServer("http://service:8080", "the-key") as service:
        service._client = httpx2.AsyncClient(**service._client_options, transport=httpx2.MockTransport(asked))
        assert (await service.send("c", "hi")).id == "1-1"
        assert [message.seq async for message in service.messages("c")] == [1, 2]
    assert asked.lines[:2] == ["POST /v1/conversations/c/messages"] * 2


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    def public(cls: type) -> dict[str, list[tuple[str, Any]]]:
        methods = inspect.getmembers(cls, inspect.isfunction)
        return {
            name: [(p.name, p.default) for p in inspect.signature(method).parameters.values()]
            for name, method in methods
            if not name.startswith("_")
        }

    assert public(Server) == public(AsyncServer)


@pytest.mark.parametrize("calling", [Server, AsyncServer])
async def test_a_call_goes_to_the_next_node_when_one_is_away(calling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.random, "random", lambda: 0.5)
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        if request.url.host == "one":
            raise httpx2.ConnectError("refused")
        if request.url.host == "two":
            return httpx2.Response(503, json={"code": "store_unavailable", "detail": "cut off"})
        return ok({"nodes": []})

    client = calling("http://one,http://two,http://three", "key", retry_s=0)
    made = httpx2.Client if calling is Server else httpx2.AsyncClient
    client._client = made(**client._client_options, transport=httpx2.MockTransport(answer))

    for _ in range(2):
        nodes = client.nodes()
        assert (await nodes if inspect.isawaitable(nodes) else nodes) == []

    assert asked == ["one", "two", "three", "three"]
