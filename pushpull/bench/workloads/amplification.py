"""Write amplification: what one message costs Redis in conversations of many sizes, beside one inbox per member.

The inboxes are the classic design at its best: one pipeline of XADDs, each to the stream of one member, on the same
Redis. Inboxes exist before they are measured, as conversations do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from pushpull.bench import inboxes
from pushpull.bench.checks import wrong_answers
from pushpull.bench.figures import MICRO, Figure, Outcome
from pushpull.bench.fleet import Fleet
from pushpull.bench.redis_stats import RedisReading, between, read
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, make, uids
from pushpull.redis_server import ask

NAME: Final = "write amplification"
ABOUT: Final = "what a message costs Redis, by the number of members"
PATIENCE_S: Final = 30.0
SAME: Final = 1.02
"""What counts as the same: the node's heartbeat falls into one stretch and not into another."""
SENDER: Final = "u-0"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one message to so many members."""

    members: int
    commands: float
    append_bytes: float  # written to the append-only file
    cpu_us: float
    calls: dict[str, int]


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    async with stage.both() as (service, load):
        cids = {_cid(members): uids(members) for members in scale.members}
        stage.tell("making conversations")
        await make(service, cids)
        # A rewrite would shorten the file that is measured.
        await asyncio.to_thread(ask, service.redis_socket, "CONFIG", "SET", "auto-aof-rewrite-percentage", "0")
        await load.behave("never", pulls=False)
        await load.connect(service, [SENDER])
        logs, wrong = [], []
        for members in scale.members:
            stage.tell(f"one log, {members:,} members")
            cost, also_wrong = await _log(stage, service, load, members)
            logs.append(cost)
            wrong += also_wrong
        boxes = []
        for members in scale.inbox_members:
            stage.tell(f"an inbox each, {members:,} members")
            boxes.append(await _inboxes(stage, service, members))
    return Outcome(
        figures=[
            *(figure for cost in logs for figure in _figures("log", cost)),
            _growth("commands", [cost.commands for cost in logs]),
            _growth("bytes", [cost.append_bytes for cost in logs]),
            *(figure for cost in boxes for figure in _figures("inboxes", cost)),
        ],
        wrong=wrong,
        commands={f"log, {cost.members:,} members": cost.calls for cost in logs},
        series={
            "one log, commands": [[cost.members, cost.commands] for cost in logs],
            "an inbox each, commands": [[cost.members, cost.commands] for cost in boxes],
            "one log, bytes": [[cost.members, cost.append_bytes] for cost in logs],
            "an inbox each, bytes": [[cost.members, cost.append_bytes] for cost in boxes],
        },
    )


def _cid(members: int) -> str:
    """As long for each size: the names of keys are bytes, too."""
    return f"of-{members:07}"


async def _log(stage: Stage, service: Service, load: Fleet, members: int) -> tuple[Cost, list[str]]:
    """Messages of one member, who is connected; nobody else is, so that only writing is measured."""
    routes = [(SENDER, _cid(members))]
    # One at a time: sends that travel together share a script call, and how many do is chance.
    send = partial(load.send_answered, routes, size=stage.scale.body_bytes, seconds=PATIENCE_S, in_flight=1)
    await send(most=1)
    await asyncio.sleep(SETTLE_S)
    await load.restart_counts()
    before = read(service.redis_socket)
    sent = await send(most=stage.scale.writes)
    cost = _cost(members, sent, between(before, read(service.redis_socket)))
    return cost, wrong_answers(f"log, {members} members", await load.totals(), sent)


async def _inboxes(stage: Stage, service: Service, members: int) -> Cost:
    messages = max(1, min(stage.scale.writes, 20_000 // members))
    await asyncio.to_thread(inboxes.write, service.redis_socket, members, 1, stage.scale.body_bytes)
    before = read(service.redis_socket)
    await asyncio.to_thread(inboxes.write, service.redis_socket, members, messages, stage.scale.body_bytes)
    return _cost(members, messages, between(before, read(service.redis_socket)))


def _cost(members: int, messages: int, did: RedisReading) -> Cost:
    # What the node does by the clock is none of a message's business.
    calls = {name: count for name, count in did.calls.items() if name in _OF_A_MESSAGE}
    return Cost(
        members=members,
        commands=sum(calls.values()) / messages,
        append_bytes=did.aof_bytes / messages,
        cpu_us=did.cpu_s / messages * MICRO,
        calls=dict(calls),
    )


_OF_A_MESSAGE: Final = frozenset(
    {"evalsha", "eval", "xadd", "hmget", "hget", "hset", "hlen", "hincrby", "hdel", "zadd", "zscore", "pexpire", "time"}
    | {"publish", "spublish", "xrange", "xtrim", "zremrangebyscore", "xdel"}
)


def _figures(way: str, cost: Cost) -> list[Figure]:
    name = f"{way}, {cost.members:,} members"
    return [
        Figure(name=f"{name}: commands", value=cost.commands, unit=""),
        Figure(name=f"{name}: append-only file", value=cost.append_bytes, unit="bytes"),
        Figure(name=f"{name}: redis CPU", value=cost.cpu_us, unit="µs"),
    ]


def _growth(what: str, values: list[float]) -> Figure:
    least = min(values)
    return Figure(
        name=f"log: {what}, largest to smallest",
        value=max(values) / least if least else None,
        unit="times",
        at_most=SAME,
    )
