"""The documents against the code: their examples run, their samples are what the service says, their names exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from pushpull.client import Server
from pushpull.config import flattened
from pushpull.delivery import client_frames, frames
from pushpull.errors import BY_CODE, ConfigError
from pushpull.model import check_log_id, seq_of
from pushpull.settings import Settings
from pushpull.web.routes import ENDPOINTS
from scripts.documenting.made import MADE
from tests.e2e.service import API_KEY, SECRET, Service, ServiceProcess

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CHANGELOG.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
README_URL = "http://127.0.0.1:8080"
# Fields that a frame has only sometimes; a sample may show them or not.
SOMETIMES = {
    "welcome": {"expires_at", "rid"},
    "sync": {"rid"},
    "messages": {"redelivery"},
    "history": {"rid"},
    "notice": {"mentioned"},
    "sent": {"rid"},
    "conversation": {"row"},
    "error": {"rid", "cid", "cmid", "retry_after_ms"},
}
ROW_SOMETIMES = {"data", "mute_until"}

Sample = dict[str, Any]


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def samples(direction: str) -> list[Sample]:
    """The frames shown in the part of the protocol's page that is marked `samples: <direction>`."""
    part = text_of("docs/protocol.md").split(f"<!-- samples: {direction} -->")[1].split("<!-- samples:")[0]
    return [json.loads(line) for block in blocks(part, "json") for line in block.splitlines()]


def transcript() -> list[tuple[str, str, Sample]]:
    """(whose connection, direction, frame) in the order of the page."""
    found = re.findall(r"^(\w+) ([→←]) (\{.*\})$", text_of("docs/protocol.md"), re.MULTILINE)
    return [(who, direction, json.loads(frame)) for who, direction, frame in found]


@pytest.fixture
def process(redis_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path, redis_url, delivery__cursor_flush_ms=30)
    running.start()
    yield running
    running.kill()


# ------------------------------------------------------------------------------------------------ README


def example(number: int, process: ServiceProcess, **environ: str) -> subprocess.Popen[str]:
    """The README's Python example of that number, started against `process`."""
    code = blocks(text_of("README.md"), "python")[number]
    assert README_URL in code
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code.replace(README_URL, process.url)],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_readmes_device_sends_and_hears_itself(process: ServiceProcess) -> None:
    with Server(process.url, API_KEY, jwt_secret=SECRET) as server:
        server.put_conversation("hello", members=["alice", "bob"])
        token = server.token("alice")
    device = example(0, process, TOKEN=token)
    try:
        assert device.stdout is not None
        assert device.stdout.readline() == "1 alice {'text': \"Hi, it's me\"}\n"
    finally:
        device.kill()
        device.communicate()


def test_the_readmes_backend_runs_twice(process: ServiceProcess) -> None:
    for unread in (1, 2):
        said, complaints = example(1, process, API_KEY=API_KEY, JWT_SECRET=SECRET).communicate(timeout=30)

        assert complaints == ""
        stored, row, token = said.splitlines()
        assert re.fullmatch(rf"stored as {unread}-\d+", stored)
        assert row == f"bob has {unread} unread in team"
        assert jwt.decode(token.rpartition(" ")[2], SECRET, ["HS256"])["sub"] == "bob"


def test_the_readmes_commands_exist() -> None:
    documented = set(re.findall(r"\.venv/bin/pushpull (\w+)", text_of("README.md")))
    listed = set(re.findall(r"`(\w+)`", text_of("CHANGELOG.md").partition("A command line:")[2].partition(".")[0]))

    assert {"token", "members", "send", "tail"} <= documented
    for command in documented | listed:
        assert (ROOT / "pushpull" / "commands" / f"{command}.py").exists(), command


# ------------------------------------------------------------------------------------------------ protocol.md


def test_every_frame_to_the_service_is_shown_and_parses() -> None:
    shown = samples("to the service")

    assert {sample["type"] for sample in shown} == client_frames.KNOWN_TYPES
    for sample in shown:
        client_frames.parse(json.dumps(sample))


def test_the_transcript_says_nothing_the_service_would_not_take() -> None:
    said = [frame for _, direction, frame in transcript() if direction == "→"]

    assert {"hello", "send", "ack", "read", "pull"} <= {frame["type"] for frame in said}
    for frame in said:
        client_frames.parse(json.dumps(frame))


def test_frames_with_messages_in_the_transcript_cover_what_they_hold() -> None:
    pages = [frame for _, direction, frame in transcript() if direction == "←" and frame["type"] == "messages"]

    assert len(pages) > 5
    for page in pages:
        assert seq_of(check_log_id(page["upto_id"])) == page["upto"]
        assert all(page["after"] < item["seq"] == seq_of(item["id"]) <= page["upto"] for item in page["items"])


async def test_samples_have_the_fields_that_the_service_sends(process: ServiceProcess) -> None:
    live = await heard_from(Service(process.url))
    shown = samples("from the service")

    assert {sample["type"] for sample in shown} == live.keys()
    for sample in shown:
        compare(sample, live[sample["type"]])


async def heard_from(service: Service) -> dict[str, Sample]:
    """One frame of each type, as a running service says it."""
    try:
        await service.room("tea", "alice", "bob", data={"title": "Tea"})
        await service.post("tea", "first")
        bob = await service.wire()
        asks = {"positions": {"tea": "1-1"}, "features": ["receipts"]}
        live = {"welcome": await bob.greet(token=token_for("bob"), device="phone", **asks)}
        await bob.say("sync")
        live["sync"] = await bob.hear("sync")
        live["reset"] = await bob.hear("reset")
        live["messages"] = await bob.hear("messages")
        await bob.say("ack", acks={"tea": 1})
        live["cursors"] = await bob.hear("cursors")
        await bob.say("pull", cid="tea", rid="older")
        live["history"] = await bob.hear("history")
        tab = await service.device("bob", "tab")
        await tab.say("signal", cid="tea", body=1)
        live["signal"] = await bob.hear("signal")
        await service.server.put("/v1/conversations/tea/cursors/alice", json={"read": 1})
        live["receipt"] = await bob.hear("receipt")
        await bob.say("send", cid="tea", cmid="mine", body=1)
        live["sent"] = await bob.hear("sent")
        await bob.say("send", cid="nowhere", cmid="mine", body=1)
        live["error"] = await bob.hear("error")
        await service.room("hall", "bob", mode="notify")
        live["conversation"] = await bob.hear("conversation")
        await service.post("hall", "large", "x" * 2000)
        live["notice"] = await bob.hear("notice")
        live["drain"] = json.loads(frames.drain(after_ms=0, jitter_ms=1))
        return live
    finally:
        await service.close()


def token_for(uid: str) -> str:
    return jwt.encode({"sub": uid, "exp": 2_000_000_000}, SECRET, "HS256")


def compare(sample: Sample, live: Sample) -> None:
    """The same fields, but for those that a frame has only sometimes; so in what stands inside it."""
    kind = sample["type"]
    assert sample.keys() ^ live.keys() <= SOMETIMES.get(kind, set()), kind
    for inner in ("ack", "limits"):
        assert sample.get(inner, {}).keys() == live.get(inner, {}).keys(), inner
    for shown in (*sample.get("conversations", []), *([sample["row"]] if "row" in sample else [])):
        row = live["conversations"][0] if kind == "sync" else live["row"]
        assert shown.keys() ^ row.keys() <= ROW_SOMETIMES, kind


def test_every_call_is_in_the_table() -> None:
    page = text_of("docs/protocol.md")

    for endpoint in ENDPOINTS:
        path = endpoint.path
        assert f"`{endpoint.method} {path}`" in page, f"{endpoint.method} {path}"


def test_every_error_code_is_explained_with_its_status() -> None:
    page = text_of("docs/protocol.md")

    on_the_wire = {code: error for code, error in BY_CODE.items() if not issubclass(error, ConfigError)}
    for code, error in on_the_wire.items():
        assert f"| `{code}` | {error.status} |" in page, code


# ------------------------------------------------------------------------------------------------ security.md


def test_every_limit_and_every_key_is_named_with_its_default() -> None:
    page = text_of("docs/security.md")
    guards = {name: value for name, value in flattened(Settings()).items() if name.startswith(("limits.", "auth."))}

    assert len(guards) > 20
    for name, default in guards.items():
        # Keys have a row among the secrets, too: that one says no default.
        rows = re.findall(rf"^\| `{re.escape(name)}` \| ([^|]+) \|", page, re.MULTILINE)
        assert as_shown(default) in rows, name


def as_shown(default: Any) -> str:
    """A default as the page writes it: 15,000; HS256; none."""
    if isinstance(default, tuple | list):
        return ", ".join(default) or "none"
    return f"{default:,g}" if isinstance(default, float) else f"{default:,}" if isinstance(default, int) else "none"


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_that_are_named_exist(document: str) -> None:
    known = set(flattened(Settings()))
    sections = "|".join({name.partition(".")[0] for name in known} - {"server", "log"})
    named = set(re.findall(rf"`((?:{sections})\.[a-z_]+)(?: =[^`]*)?`", text_of(document)))

    # `limits` is also a field of `welcome`.
    assert named - known <= {"limits.idempotency_s", "redis.log", "redis.sock", "redis.lock"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_links_that_are_named_exist(document: str) -> None:
    text = text_of(document)
    folder = (ROOT / document).parent

    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (folder / path).exists() or path in MADE, path
    for path in re.findall(r"`((?:pushpull|tests|config|docs|scripts)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:store|node|delivery|web|client)/[\w./-]+\.(?:py|lua))`", text):
        assert (ROOT / "pushpull" / path).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_to_a_heading_find_it(document: str) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", text_of(document)):
        if path.startswith("reference/"):
            continue  # made when the site is built, whose test follows links into it
        target = (ROOT / document).parent / path if path else ROOT / document
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], anchor
