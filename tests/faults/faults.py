"""Faults of nodes and of the lines to them, each a function that makes one for a stage.

A test picks one; soak picks at random. Those of Redis and of its doorbells are in redis_faults.py.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable

from pushpull.client.backoff import LONGEST_S
from tests.faults.fault import Fault, Step, nothing
from tests.faults.stage import Stage, StageNode

LIVE_ELSEWHERE_S = 5.0
"""A target: the devices of a killed node live on another one so long after."""

Make = Callable[[Stage], Fault]


def node_killed(stage: Stage) -> Fault:
    """SIGKILL of a node: its devices live on another. It comes back later."""
    node = stage.node()

    async def begin() -> None:
        await asyncio.to_thread(node.process.kill)

    async def end() -> None:
        await asyncio.to_thread(node.process.start)

    return Fault(name="node killed", begin=begin, end=end, lasts_s=2, heal_within_s=LIVE_ELSEWHERE_S, heal_from="begin")


def node_paused(stage: Stage, *, for_s: float = 10) -> Fault:
    """SIGSTOP of a node: connections stay open and nothing is said. Then SIGCONT."""
    node = stage.node()

    async def begin() -> None:
        node.process.signal(signal.SIGSTOP)

    async def end() -> None:
        node.process.signal(signal.SIGCONT)

    return Fault(name=f"node paused for {for_s:g} s", begin=begin, end=end, lasts_s=for_s, heal_within_s=5)


def workers_killed(stage: Stage) -> Fault:
    """SIGKILL of all workers of a node but one: their devices live on that one. They are started again."""
    node = stage.node()

    async def begin() -> None:
        for pid in node.process.workers()[1:]:
            os.kill(pid, signal.SIGKILL)

    return Fault(
        name="all workers but one killed", begin=begin, lasts_s=2, heal_within_s=LIVE_ELSEWHERE_S, heal_from="begin"
    )


def rolling_restart(stage: Stage) -> Fault:
    """Each node in turn is asked to go, drains, and is replaced."""

    replacing: list[asyncio.Task[None]] = []

    async def replace() -> None:
        for node in stage.nodes:
            await asyncio.to_thread(replace_node, node)

    async def begin() -> None:
        # Not waited for here: a node is ready when Redis is, which may be what is broken at the same time.
        replacing.append(asyncio.create_task(replace()))

    async def end() -> None:
        await replacing.pop()

    return Fault(name="rolling restart", begin=begin, end=end, lasts_s=2, heal_within_s=5)


def replace_node(node: StageNode) -> None:
    """Let it drain, end and start again, with the environment it has now."""
    status = node.process.stop()
    assert status == 0, f"a drained node ended with {status}:\n{node.process.output[-2000:]}"
    node.process.start()


# ------------------------------------------------------------------------------------------------ lines to devices

BACKED_OFF_S = LONGEST_S + 2
"""Who was cut off many times in a row may wait that long for its next try."""


def clients_cut(stage: Stage) -> Fault:
    """Every connection to every node is cut, again and again."""

    async def step() -> None:
        for node in stage.nodes:
            node.clients.cut()

    return again_and_again("client connections cut", step, every_s=0.3, heal_within_s=BACKED_OFF_S)


def clients_half_closed(stage: Stage) -> Fault:
    """One end of every connection is told that nothing more comes, in turn the device's and the node's."""
    turns = [True, False]

    async def step() -> None:
        turns.reverse()
        for node in stage.nodes:
            node.clients.half_close(towards_client=turns[0])

    return again_and_again("client connections half-closed", step, every_s=0.5, heal_within_s=BACKED_OFF_S)


def clients_delayed(stage: Stage) -> Fault:
    """Everything between devices and nodes takes up to 0.3 s longer, each way."""

    async def begin() -> None:
        for node in stage.nodes:
            node.clients.up.delay_s = node.clients.down.delay_s = 0.3

    return Fault(name="client connections delayed", begin=begin, end=lambda: _heal(stage), lasts_s=2)


def clients_blocked(stage: Stage, *, for_s: float = 3) -> Fault:
    """Nothing passes between one node and its devices, in one direction; nobody is told."""
    node = stage.node()
    way = stage.random.choice([node.clients.up, node.clients.down])

    async def begin() -> None:
        way.block()

    return Fault(name="client connections blocked one way", begin=begin, end=lambda: _heal(stage), lasts_s=for_s)


def answers_lost(stage: Stage) -> Fault:
    """Of all that says `sent`, and of all HTTP answers to a send, a third is lost with its connection."""

    def lost(chunk: bytes) -> bool:
        return (b'"type":"sent"' in chunk or b'"dup":' in chunk) and random.random() < 0.33

    async def begin() -> None:
        for node in stage.nodes:
            node.clients.down.lose = lost

    return Fault(name="answers to sends lost", begin=begin, end=lambda: _heal(stage), lasts_s=2)


async def _heal(stage: Stage) -> None:
    for node in stage.nodes:
        node.clients.heal()
        if node.redis is not None:
            node.redis.heal()


# ------------------------------------------------------------------------------------------------ lines to Redis


def append_replies_lost(stage: Stage) -> Fault:
    """Appends are carried out, and a third of the replies never comes: the connection ends instead."""

    def appends(chunk: bytes) -> bool:
        return b"}:cmid:" in chunk and random.random() < 0.33

    async def begin() -> None:
        for node in stage.nodes:
            assert node.redis is not None
            node.redis.up.doom = appends

    return Fault(name="replies to appends lost", begin=begin, end=lambda: _heal(stage), lasts_s=2)


def redis_lines_cut(stage: Stage) -> Fault:
    """Every connection between nodes and Redis is cut, again and again."""

    async def step() -> None:
        for node in stage.nodes:
            assert node.redis is not None
            node.redis.cut()

    return again_and_again("redis connections cut", step, every_s=0.3, heal_within_s=8)


def redis_lines_delayed(stage: Stage) -> Fault:
    """Redis is far away: everything takes up to 0.1 s longer, each way."""

    async def begin() -> None:
        for node in stage.nodes:
            assert node.redis is not None
            node.redis.up.delay_s = node.redis.down.delay_s = 0.1

    return Fault(name="redis connections delayed", begin=begin, end=lambda: _heal(stage), lasts_s=2)


def again_and_again(
    name: str, step: Step, *, every_s: float, heal_within_s: float, lasts_s: float = 2, end: Step = nothing
) -> Fault:
    tasks: list[asyncio.Task[None]] = []

    async def repeat() -> None:
        while True:
            await step()
            await asyncio.sleep(every_s)

    async def begin() -> None:
        tasks.append(asyncio.create_task(repeat()))

    async def finish() -> None:
        task = tasks.pop()
        failed = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=not failed)
        await end()

    return Fault(name=name, begin=begin, end=finish, lasts_s=lasts_s, heal_within_s=heal_within_s, answers_during=False)
