"""Delivery settings of a running service: put on every node, read from its file, and who looks at what."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pushpull.client import Message, Noticed, connect
from tests.e2e.conftest import Serve, ServeProcess
from tests.e2e.service import API_KEY, Service, ServiceProcess, token_of

Talk = Callable[[ServiceProcess], Service]

IN_FORCE_S = 2.0


async def until(true: Callable[[], Awaitable[bool]], within_s: float = IN_FORCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not await true():
            await asyncio.sleep(0.02)


async def setting(service: Service, key: str) -> dict[str, Any]:
    entry: dict[str, Any] = (await service.server.get("/v1/policy")).json()[key]
    return entry


async def put(service: Service, **changes: Any) -> None:
    answer = await service.server.put("/v1/policy", json=changes)
    assert answer.status_code == 200, answer.text


async def test_what_is_put_on_one_node_is_in_force_on_all_and_on_those_that_start_later(serve: Serve) -> None:
    one, other = await serve(), await serve()

    await put(one, push_max_members=1, notify_interval_ms=77)

    async def in_force() -> bool:
        return (await setting(other, "notify_interval_ms"))["value"] == 77

    await until(in_force)
    later = await serve()
    assert (await setting(later, "push_max_members"))["value"] == 1
    assert later.node.settings.delivery.push_max_members == 1
    await put(later, push_max_members=None, notify_interval_ms=None)

    async def taken_back() -> bool:
        return (await setting(one, "push_max_members"))["origin"] != "PUT /v1/policy"

    await until(taken_back)


async def test_conversations_change_their_mode_with_the_policy(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("team", "ann", "bob")
    bob = await other.device("bob")
    await one.post("team", "m1")
    assert (await bob.hear("messages"))["upto"] == 1

    await put(one, push_max_members=1, inline_max_bytes=0)

    async def notified() -> bool:
        answer: dict[str, Any] = (await other.server.get("/v1/conversations/team")).json()
        return str(answer["mode"]) == "notify"

    await until(notified)
    await one.post("team", "m2")
    assert (await bob.hear("notice"))["head"] == 2


async def test_a_conversation_says_its_mode_and_why_for_whoever_looks_and_whoever_does_not(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 1})
    await service.room("team", "ann", "bob")

    answer = (await service.server.get("/v1/conversations/team")).json()

    assert (answer["mode"], answer["why"]) == ("notify", "2 members, push_max_members is 1")
    assert answer["on_screen"]["way"] == "gathered"
    assert answer["on_screen"]["why"].endswith("on the screen: gathered for 250 ms")
    assert (answer["off_screen"]["way"], answer["rate"]) == ("told", 0.0)


async def test_who_looks_is_pushed_to_and_who_does_not_is_told(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 1, "inline_max_bytes": 0, "push_window_ms": 20})
    await service.room("team", "ann", "bob", "carol")
    here = await service.device("ann", focus="team")
    elsewhere = await service.device("bob", focus=None)
    unsaid = await service.device("carol")

    await service.post("team", "m1")

    assert (await here.hear("messages"))["upto"] == 1
    assert (await elsewhere.hear("notice"))["head"] == 1
    assert (await unsaid.hear("notice"))["head"] == 1
    await elsewhere.say("focus", cid="team")
    assert (await elsewhere.hear("messages"))["upto"] == 1


async def test_the_python_client_says_what_it_shows_and_says_it_again_when_it_comes_back(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 1, "inline_max_bytes": 0, "push_window_ms": 20})
    await service.room("team", "ann", "bob")
    async with connect(service.url, token=token_of("bob"), device="laptop") as chat:
        events = chat.events()
        await chat.focus(None)
        await asyncio.sleep(0.1)
        await service.post("team", "m1")
        noticed = await anext(events)
        assert noticed == Noticed("team", 1, 1)

        await chat.focus("team")
        assert isinstance(message := await anext(events), Message)
        assert message.seq == 1
        (sessions,) = (await service.server.get("/v1/users/bob/sessions")).json().values()
        await service.server.delete(f"/v1/users/bob/sessions/{sessions[0]['id']}")


def config(tmp_path: Path, **delivery: Any) -> Path:
    """A settings file, put in the place of the one before as editors do."""
    made, file = tmp_path / "pushpull.toml.new", tmp_path / "pushpull.toml"
    made.write_text("[delivery]\n" + "".join(f"{key} = {value}\n" for key, value in delivery.items()))
    return Path(os.replace(made, file) or file)


async def test_the_settings_file_is_watched_and_a_wrong_one_changes_nothing(
    serve_process: ServeProcess, talk: Talk, tmp_path: Path
) -> None:
    file = config(tmp_path, push_max_members=10)
    process = serve_process(config=file)
    service = talk(process)
    entry = await setting(service, "push_max_members")
    assert entry == {"value": 10, "origin": f"file {file}"}

    config(tmp_path, push_max_members=11)

    async def has(value: int) -> bool:
        return (await setting(service, "push_max_members"))["value"] == value

    await until(lambda: has(11))
    config(tmp_path, push_max_members=-1)
    async with asyncio.timeout(5):
        while "settings were not taken" not in process.output:
            await asyncio.sleep(0.02)
    assert "push_max_members -1" in process.output
    assert await has(11)
    with (tmp_path / "pushpull.toml").open("a") as text:
        text.seek(0)
        text.truncate()
        text.write("[delivery]\npush_max_members = 12\n[limits]\nmembers = 7\n")
    await until(lambda: has(12))
    assert "settings that need a restart have changed: limits.members" in process.output


async def test_sighup_reaches_every_worker(serve_process: ServeProcess, talk: Talk, tmp_path: Path) -> None:
    """The file itself lies elsewhere: nothing in the watched directory changes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = config(elsewhere, push_max_members=10)
    (tmp_path / "link").mkdir()
    link = tmp_path / "link" / "pushpull.toml"
    link.symlink_to(file)
    process = serve_process(server__workers=2, config=link)
    service = talk(process)
    give_up = time.monotonic() + 20
    while "pushpull serves" not in process.output:
        assert time.monotonic() < give_up, process.output
        await asyncio.sleep(0.02)

    config(elsewhere, push_max_members=11)
    process.signal(signal.SIGHUP)

    async with asyncio.timeout(5):
        while process.output.count("delivery settings changed: push_max_members") < 2:
            await asyncio.sleep(0.02)
    assert (await setting(service, "push_max_members"))["value"] == 11


async def test_the_command_shows_changes_and_takes_back(serve_process: ServeProcess) -> None:
    process = serve_process()

    async def policy(*words: str) -> tuple[int, str]:
        command = ("pushpull", "policy", *words, "--url", process.url, "--api-key", API_KEY)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from pushpull.cli import main; main()", *command[1:]),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
        return child.returncode or 0, output.decode()

    status, output = await policy("push_max_members=7", "hysteresis=0.2")
    assert (status, "push_max_members" in output, "PUT /v1/policy" in output, "200 (default)" in output) == (
        0,
        True,
        True,
        True,
    )
    status, output = await policy("push_max_members=many")
    assert (status, "push_max_members 'many'" in output) == (1, True)
    status, output = await policy("--reset", "push_max_members", "--json")
    assert (status, '"origin": "PUT /v1/policy"' in output) == (0, True)
    assert (await policy("push_max_members"))[0] == 2
