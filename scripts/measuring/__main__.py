"""Measure, then print: commands per append, members in one call, time until the last of many devices has a message."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pushpull.client import AsyncServer
from pushpull.errors import PushpullError
from pushpull.model import Cid, Draft, Role, Uid, seq_of
from pushpull.settings import Settings
from pushpull.store import Store
from scripts.measuring.fleet import DELIVER_S, Fleet, connected
from tests.e2e.service import API_KEY, SECRET, ServiceProcess
from tests.servers import RedisServer

HOT: Final = "hot"
APPENDS: Final = 20
PAUSE_S: Final = 1.5
"""Between two messages: acks and cursors of the one before are written by then."""
SPARE_FILES: Final = 1_000
BODIES: Final = (("push", 200), ("notify, inline", 200), ("notify, pulled", 1_000))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/measure", description="Measure what this machine does.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.add_argument("--members", type=int, default=10_000, help="members of the hot group (10000)")
    parser.add_argument("--devices", type=int, default=5_000, help="of them connected (5000)")
    parser.add_argument("--processes", type=int, default=2, help="processes that hold the devices (2)")
    parser.add_argument("--messages", type=int, default=7, help="messages per way of delivery (7)")
    options = parser.parse_args()
    if not 1 <= options.devices <= options.members:
        parser.error(f"{options.devices} devices, expected 1 to the number of members ({options.members})")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, options.devices + SPARE_FILES), hard))
    try:
        figures = asyncio.run(measured(options))
    except (PushpullError, RuntimeError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(figures, indent=2) if options.json else "\n".join(lines(figures)))
    return 0


async def measured(options: argparse.Namespace) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        redis = RedisServer()
        redis.start()
        try:
            figures: dict[str, Any] = {"machine": machine(redis)}
            figures["append"] = [await append_cost(redis, members) for members in (10, options.members)]
            redis.ask("FLUSHALL")
            figures |= await service_figures(redis, options, progress)
        finally:
            redis.remove()
    return figures


def machine(redis: RedisServer) -> dict[str, Any]:
    info = dict(line.split(":", 1) for line in redis.ask("INFO", "server").splitlines() if ":" in line)
    server = f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"
    return {"cores": os.cpu_count(), "python": platform.python_version(), "redis": server}


# -------------------------------------------------------------------------------------------------- appends


async def append_cost(redis: RedisServer, members: int) -> dict[str, Any]:
    """What one append asks of Redis, those commands inside the script among them, in a conversation of this size."""
    settings = Settings()
    store = await Store.open(settings, url=redis.url)
    cid = Cid(f"of-{members}")
    await store.conversations.put(cid, {}, members=[(Uid(f"u{n}"), Role.MEMBER) for n in range(members)])
    draft = Draft(cid=cid, sender=Uid("u0"), cmid="warm up", body=b'"' + b"x" * 198 + b'"')
    await store.log.append([draft])
    redis.ask("CONFIG", "RESETSTAT")
    for number in range(APPENDS):
        await store.log.append([Draft(cid=cid, sender=Uid("u0"), cmid=str(number), body=draft.body)])
    stats = command_stats(redis)
    await store.aclose()
    return {
        "members": members,
        "calls": stats["evalsha"][0] / APPENDS,
        "redis_us": round(stats["evalsha"][1] / APPENDS, 1),
        "commands": {name: count / APPENDS for name, (count, _) in sorted(stats.items()) if name != "evalsha"},
    }


def command_stats(redis: RedisServer) -> dict[str, tuple[int, int]]:
    """Calls and µs by command since the last reset."""
    found = {}
    for line in redis.ask("INFO", "commandstats").splitlines():
        name, _, stats = line.removeprefix("cmdstat_").partition(":")
        if stats and name not in ("info", "config|resetstat", "ping"):
            values = dict(part.split("=") for part in stats.split(","))
            found[name] = (int(values["calls"]), int(values["usec"]))
    return found


# -------------------------------------------------------------------------------------------------- the service


async def service_figures(redis: RedisServer, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="pp-measure-") as directory:
        service = ServiceProcess(
            Path(directory), redis.url, log__level="warning", limits__connections=options.devices + 100
        )
        await asyncio.to_thread(service.start)
        try:
            async with AsyncServer(service.url, API_KEY, jwt_secret=SECRET) as server:
                return await hot_group(server, service.url, options, progress)
        finally:
            service.kill()


async def hot_group(server: AsyncServer, url: str, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    await server.put_conversation(HOT)
    users = [f"u{number}" for number in range(options.members)]
    began = time.monotonic()
    await server.add_members(HOT, users)
    members_s = time.monotonic() - began
    tokens = [server.token(uid) for uid in users[: options.devices]]
    bar = progress.add_task("connecting", total=options.devices)
    began = time.monotonic()

    def look(fleet: Fleet) -> None:
        progress.update(bar, completed=fleet.listed)

    async with connected(url, HOT, tokens, processes=options.processes, look=look) as fleet:
        connected_s = time.monotonic() - began
        ways = [await way(server, fleet, name, size, options.messages, progress) for name, size in BODIES]
    return {
        "members_in_one_call": {"members": options.members, "seconds": round(members_s, 3)},
        "connecting": {"devices": options.devices, "seconds": round(connected_s, 2)},
        "until_the_last_device_has_it": ways,
    }


async def way(
    server: AsyncServer, fleet: Fleet, name: str, size: int, messages: int, progress: Progress
) -> dict[str, Any]:
    """Messages one after the other; for each the time (s) from the send until the last device has it."""
    await server.put_conversation(HOT, settings={"mode": name.partition(",")[0]})
    await asyncio.sleep(PAUSE_S)
    bar = progress.add_task(name, total=fleet.size * messages)
    times = []
    for number in range(messages):
        began = time.monotonic()
        sent = await server.send(HOT, "x" * (size - 2), cmid=f"{name} {number}")
        seq = seq_of(sent.id)
        await until_all_have(fleet, seq, partial(_show, progress, bar, fleet.size * number))
        times.append(fleet.last(seq) - began)
        await asyncio.sleep(PAUSE_S)
    return {
        "way": name,
        "body_bytes": size,
        "devices": fleet.size,
        "median_s": round(statistics.median(times), 3),
        "worst_s": round(max(times), 3),
        "each_s": [round(each, 3) for each in times],
    }


def _show(progress: Progress, bar: TaskID, before: int, have: int) -> None:
    progress.update(bar, completed=before + have)


async def until_all_have(fleet: Fleet, seq: int, tell: Callable[[int], None]) -> None:
    """Wait for the last device; `tell` hears how many have it. Raises RuntimeError."""
    await fleet.until(
        lambda: fleet.have(seq) == fleet.size,
        within_s=DELIVER_S,
        what=f"message {seq}",
        look=lambda: tell(fleet.have(seq)),
    )


# -------------------------------------------------------------------------------------------------- shown


def lines(figures: dict[str, Any]) -> list[str]:
    about, members, connecting = figures["machine"], figures["members_in_one_call"], figures["connecting"]
    shown = [f"{about['cores']} cores, Python {about['python']}, {about['redis']}", ""]
    for cost in figures["append"]:
        inside = ", ".join(f"{count:g} {name}" for name, count in cost["commands"].items())
        shown.append(
            f"append, {cost['members']:,} members: {cost['calls']:g} script call, {cost['redis_us']} µs of Redis"
        )
        shown.append(f"    in it: {inside}")
    shown += [
        f"{members['members']:,} members added in one call: {members['seconds']:.2f} s",
        f"{connecting['devices']:,} devices connected: {connecting['seconds']:.1f} s",
    ]
    shown += [
        f"{each['way']}, {each['body_bytes']:,} bytes: the last of {each['devices']:,} devices has it after "
        f"{each['median_s']:.2f} s (median), {each['worst_s']:.2f} s (worst)"
        for each in figures["until_the_last_device_has_it"]
    ]
    return shown


if __name__ == "__main__":
    sys.exit(main())
