"""The commands that talk to a service: what they ask, what they print, how they end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from click.testing import CliRunner, Result

from pushpull.cli import main
from pushpull.client import Message, Server, backend
from pushpull.commands import _service, user
from pushpull.commands._show import message_line
from tests.client.fake_service import Peer, row, service

ITEM = {"id": "1-1", "seq": 1, "ts": 0, "cmid": "m", "kind": "message", "from": "ann", "body": "Hello"}
HISTORY = {"type": "history", "cid": "c", "before": 2, "items": [ITEM], "floor": 1, "more": False}

Answers = dict[str, list[httpx2.Response]]
Run = Callable[..., Result]


def ok(answer: Any, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=answer)


def problem(status: int, code: str, detail: str) -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "detail": detail})


class Api:
    """Answers by method and path, one after the other; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[httpx2.Request] = []

    def on(self, line: str, *answers: httpx2.Response) -> None:
        self.answers[line] = list(answers)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answers[f"{request.method} {request.url.path}"].pop(0)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    def server(url: str, key: str, **options: Any) -> Server:
        client = Server(url, key, **options)
        client._client.close()
        client._client = httpx2.Client(**client._client_options, transport=httpx2.MockTransport(made))
        return client

    monkeypatch.setattr(_service, "Server", server)
    monkeypatch.setattr(backend, "_jitter", lambda state: 0.0)
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("PUSHPULL_CONFIG", "PUSHPULL_URL", "PUSHPULL_API_KEY", "PUSHPULL_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, key: str | None = "k", url: str = "http://service:8080", text: str | None = None) -> Result:
        flags = ["--url", url, *(["--api-key", key] if key else [])]
        return CliRunner().invoke(main, [*words, *flags], input=text)

    return run


def test_send_says_where_the_message_stands(run: Run, api: Api):
    api.on("POST /v1/conversations/c/messages", ok({"cid": "c", "cmid": "m", "id": "7-1", "dup": False}, 201))
    result = run("send", "c", "Hello", "--as", "ann")
    assert (result.exit_code, result.output) == (0, "stored as #7 in c\n")
    body = orjson.loads(api.requests[0].content)
    assert (body["body"], body["from"]) == ("Hello", "ann")


def test_send_reads_a_body_from_standard_input(run: Run, api: Api):
    api.on("POST /v1/conversations/c/messages", ok({"cid": "c", "cmid": "m", "id": "7-1", "dup": False}, 201))
    result = run("send", "c", "-", "--body-json", "--json", text='{"a": [1]}')
    assert orjson.loads(result.output) == {"cid": "c", "cmid": "m", "id": "7-1", "dup": False}
    assert orjson.loads(api.requests[0].content)["body"] == {"a": [1]}


def test_a_body_that_is_no_json_is_wrong_usage(run: Run, api: Api):
    result = run("send", "c", "nonsense", "--body-json")
    assert result.exit_code == 2
    assert "TEXT is not JSON" in result.output


def test_send_to_a_conversation_that_is_not_there_says_how_to_make_it(run: Run, api: Api):
    answer = problem(404, "no_such_conversation", "conversation c does not exist")
    api.on("POST /v1/conversations/c/messages", answer)
    result = run("send", "c", "Hello", "--as", "ann")
    assert result.exit_code == 1
    assert result.stderr == ("error: conversation c does not exist; make one with: pushpull members c --add ann,…\n")


def test_adding_members_makes_the_conversation_where_it_is_new(run: Run, api: Api):
    counts = {"added": 2, "updated": 0, "removed": 0, "members": 2}
    missing = problem(404, "no_such_conversation", "conversation c does not exist")
    api.on("POST /v1/conversations/c/members", missing, ok(counts))
    api.on("PUT /v1/conversations/c", ok({}, 201))
    result = run("members", "c", "--add", "ann, bob")
    assert (result.exit_code, result.output) == (0, "c has 2 members (2 added)\n")
    assert [request.method for request in api.requests] == ["POST", "PUT", "POST"]


def test_members_are_shown_in_columns(run: Run, api: Api):
    rows = [{"user": "ann", "role": "member", "joined": 0, "delivered": 12, "read": 3}]
    api.on("GET /v1/conversations/c/members", ok({"members": rows, "next": None}))
    assert run("members", "c").output == ("user  role    joined  delivered  read\nann   member  0       12         3\n")


def test_conversations_are_listed_over_all_pages(run: Run, api: Api):
    api.on(
        "GET /v1/users/ann/conversations",
        ok({"conversations": [{"cid": "a", "unread": 2}], "next": "a"}),
        ok({"conversations": [{"cid": "b", "unread": 0}], "next": None}),
    )
    result = run("conversations", "--as", "ann", "--json")
    assert [shown["cid"] for shown in orjson.loads(result.output)] == ["a", "b"]


def test_history_is_shown_line_by_line(run: Run, api: Api):
    api.on("GET /v1/conversations/c/messages", ok(HISTORY))
    assert run("history", "c").output.endswith("#1 ann: Hello\n")


def test_a_message_of_another_day_begins_with_its_date(run: Run, api: Api):
    api.on("GET /v1/conversations/c/messages", ok({**HISTORY, "items": [{**ITEM, "ts": 1_700_000_000_000}]}))
    assert re.match(r"2023-11-1[45] \d\d:\d\d:20 #1 ann: Hello$", run("history", "c").output.strip())


def test_pending_without_any_says_so(run: Run, api: Api):
    api.on("GET /v1/conversations/c/pending", ok({"count": 0, "min": None, "max": None, "consumers": []}))
    assert run("pending", "c").output == "nothing is pending\n"


LETTER = {"id": "0.5-1", "cid": "c", "why": "the receiver answered 500", "tries": 10, "at": 0}
STATE = {"enabled": True, "due": 1, "waiting": 2, "pending": 3, "dead": 4, "letters": [LETTER]}


def test_offline_shows_what_is_due_and_what_was_given_up(run: Run, api: Api):
    api.on("GET /v1/offline", ok(STATE), ok({**STATE, "enabled": False, "letters": []}), ok(STATE))
    lines = run("offline", "--limit", "5").output.splitlines()
    assert lines[0] == "1 due later, 2 waiting, 3 being worked on, 4 given up"
    assert lines[2].split()[:3] == ["0.5-1", "c", "10"]
    assert lines[2].endswith("the receiver answered 500")
    assert api.requests[0].url.params["limit"] == "5"
    assert run("offline").output.startswith("nobody is notified: offline.webhook_url is not set\n")
    assert orjson.loads(run("offline", "--json").output) == STATE


def test_offline_requeues_dead_letters_all_or_those_that_are_named(run: Run, api: Api):
    api.on("POST /v1/offline/requeue", ok({"requeued": 4}), ok({"requeued": 1}), ok({"requeued": 0}))
    assert run("offline", "--requeue").output == "4 requeued\n"
    assert run("offline", "--requeue", "0.5-1").output == "1 requeued\n"
    assert orjson.loads(run("offline", "--requeue", "--json").output) == {"requeued": 0}
    assert [orjson.loads(request.content) for request in api.requests] == [{}, {"ids": ["0.5-1"]}, {}]
    assert run("offline", "0.5-1").exit_code == 2


def test_nodes_are_shown_with_whatever_they_tell(run: Run, api: Api):
    api.on("GET /v1/nodes", ok({"nodes": [{"node": "n1", "sessions": 4}]}))
    assert run("nodes").output == "node  sessions\nn1    4\n"


def test_without_a_key_for_a_foreign_service_it_is_wrong_usage(run: Run, api: Api):
    result = run("nodes", key=None)
    assert result.exit_code == 2
    assert "no API key for http://service:8080" in result.output


def test_the_key_of_this_machine_is_not_sent_to_another(run: Run, api: Api, tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    key = data / "api_key"
    key.write_text("the-key-of-this-machine-is-long-enough\n")
    key.chmod(0o600)
    assert run("nodes", key=None).exit_code == 2
    assert api.requests == []
    api.on("GET /v1/nodes", ok({"nodes": []}))
    assert run("nodes", key=None, url="http://127.0.0.1:8080").exit_code == 0
    assert api.requests[0].headers["x-api-key"] == "the-key-of-this-machine-is-long-enough"


def test_a_service_that_is_not_running_is_said_to_be_so(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_service, "RETRY_S", 0.0)
    result = run("nodes", url="http://127.0.0.1:9")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: no answer from http://127.0.0.1:9: ConnectError; is the service running? (pushpull serve)\n"
    )


def test_a_message_cannot_steer_the_terminal():
    message = Message(
        cid="c", id="1-1", seq=1, ts=0, sender="ann", cmid="m", kind="message", body="\x1b[2Jgone\nnext", edited=None
    )
    assert message_line(message).endswith(r"#1 ann: \x1b[2Jgone\nnext")


async def test_tail_shows_what_was_and_what_comes_and_acks_what_it_showed(run: Run):
    async def scene(peer: Peer) -> None:
        assert peer.token == "jwt"
        await peer.greet(row(head=1))
        pull = await peer.hear("pull")
        await peer.say(
            "history", **{name: HISTORY[name] for name in ("cid", "before", "items", "floor", "more")}, rid=pull["rid"]
        )
        await peer.push(0, 2)
        assert (await peer.hear("ack"))["acks"] == {"c": 2}
        await peer.close(4500, "enough")

    async with service(scene) as url:
        result = await asyncio.to_thread(run, "tail", "c", "--token", "jwt", "--json", url=url)
    assert [orjson.loads(line)["seq"] for line in result.stdout.splitlines()] == [1, 2]
    assert result.exit_code == 1
    assert "4500 enough" in result.stderr


async def test_tail_of_a_conversation_one_is_no_member_of_says_how_to_become_one(run: Run):
    async def scene(peer: Peer) -> None:
        await peer.greet()
        pull = await peer.hear("pull")
        await peer.say("error", code="not_a_member", message="not listed", temporary=False, cid="c", rid=pull["rid"])
        await peer.stay()

    async with service(scene) as url:
        result = await asyncio.to_thread(run, "tail", "c", "--token", "jwt", url=url)
    assert result.exit_code == 1
    assert result.stderr == "error: bob is not a member of c; add them with: pushpull members c --add bob\n"


def deletion(state: str, done: int = 0, total: int | None = None, **more: Any) -> httpx2.Response:
    stands = {"user": "ann", "state": state, "messages": "redact", "conversations": {"done": done, "total": total}}
    return ok({**stands, "redacted": 7, "asked": 1, "started": None, "ended": None, "error": None, **more}, 202)


def test_user_delete_waits_until_the_user_is_deleted(run: Run, api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(user, "LOOK_S", 0.0)
    api.on("DELETE /v1/users/ann", deletion("waiting"))
    api.on("GET /v1/users/ann/deletion", deletion("running"), deletion("running", 1, 3), deletion("done", 3, 3))
    result = run("user", "delete", "ann", "--messages", "redact")
    assert (result.exit_code, result.output) == (0, "ann: done; 3 conversations, 7 entries redacted\n")
    assert len(api.requests) == 4


def test_user_delete_need_not_wait(run: Run, api: Api):
    api.on("DELETE /v1/users/ann", deletion("waiting"))
    result = run("user", "delete", "ann", "--messages", "redact", "--no-wait")
    assert result.output == "ann is being deleted; how it stands: pushpull user deletion ann\n"


def test_a_deletion_that_failed_says_why_and_how_to_go_on(run: Run, api: Api):
    api.on("DELETE /v1/users/ann", deletion("failed", 1, 3, error="redis is away"))
    result = run("user", "delete", "ann", "--messages", "redact", "--json")
    assert (result.exit_code, orjson.loads(result.stdout)["state"]) == (1, "failed")
    assert result.stderr == "error: the deletion of ann failed: redis is away; ask for it again to go on\n"


def test_what_keeps_a_deletion_from_going_on_is_shown(run: Run, api: Api):
    api.on("GET /v1/users/ann/deletion", deletion("running", 1, error="redis is away"))
    assert run("user", "deletion", "ann").output == (
        "ann: running, 1 of ? conversations\nlast problem: redis is away\n"
    )


def test_what_becomes_of_the_messages_must_be_said(run: Run):
    result = run("user", "delete", "ann")
    assert result.exit_code == 2
    assert "--messages" in result.stderr


def test_tail_wants_to_know_who_follows(run: Run):
    assert run("tail", "c").exit_code == 2


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (["--url", "http://one:1,http://two:2"], None),
        (["--url", "http://one:1", "--url", "http://two:2/"], None),
        ([], "http://one:1,http://two:2"),
    ],
)
def test_several_nodes_may_be_named(
    flags: list[str], environment: str | None, api: Api, monkeypatch: pytest.MonkeyPatch
):
    given: list[tuple[str, ...]] = []
    server = _service.Server
    monkeypatch.setattr(_service, "Server", lambda urls, key, **options: given.append(urls) or server(urls, key))
    api.on("GET /v1/nodes", ok({"nodes": []}))
    result = CliRunner().invoke(
        main, ["nodes", "--json", "--api-key", "k", *flags], env={"PUSHPULL_URL": environment or ""}
    )
    assert (result.exit_code, given) == (0, [("http://one:1", "http://two:2")])


def test_this_machines_key_is_not_sent_where_another_node_is_among_those_named(run: Run, api: Api):
    result = run("nodes", key=None, url="http://127.0.0.1:8080,http://service:8080")
    assert result.exit_code == 2
    assert "a key of another service is not sent" in result.output
