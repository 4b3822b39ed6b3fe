"""Real servers for the doctor: what is found in one, and how a fault is made there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pushpull.doctor.facts import Facts
from pushpull.store.examination import Look, examine
from tests.doctor.sound import Plant, found_in, sound
from tests.servers import RedisServer

QUICK = Look(pings=0, over_s=0.0)
"""Times only where a test is about them: a busy machine is slow by itself."""
MEMORY = 1024**3
Change = Callable[[RedisServer], object]


async def facts_of(url: str, plant: Plant = lambda facts: facts, look: Look = QUICK) -> Facts:
    """Sound settings on a sound machine, and the Redis at `url`."""
    facts = plant(sound())
    return replace(facts, redis=await examine(url, facts.settings, look), services=())


async def codes_of(url: str, plant: Plant = lambda facts: facts, look: Look = QUICK) -> set[str]:
    return found_in(await facts_of(url, plant, look))


def asked(*command: str) -> Change:
    def change(server: RedisServer) -> None:
        answer = server.ask(*command)
        assert not answer.startswith("-"), answer

    return change


def set_to(directive: str, value: str) -> Change:
    return asked("CONFIG", "SET", directive, value)
