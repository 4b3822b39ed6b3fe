"""Will there still be room in a month?"""

from __future__ import annotations

from pushpull.doctor.amounts import counted, number, size, span
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Item, warning
from pushpull.doctor.growth import DAYS, Growth, growth
from pushpull.store.facts import RedisFacts

MEMORY_IN_A_MONTH = warning(
    "memory_in_a_month",
    why="at the present rate Redis is full before long, and from then on every send is refused",
    mend="more memory, more primaries, or keep less: retention.max_messages, retention.max_age_days",
)
RETENTION_UNBOUNDED = warning(
    "retention_unbounded",
    why="everything is kept for ever, in memory: whatever there is will be full one day",
    mend="set retention.max_messages or retention.max_age_days, or those of each conversation",
)

OF_MACHINE = 0.85


def growing(facts: Facts) -> Item | None:
    """Messages as they come now, what retention leaves of them in a month, and what there is room for."""
    redis, retention = facts.redis, facts.settings.retention
    if redis is None or redis.problem:
        return None
    findings = []
    if not retention.max_messages and not retention.max_age_days:
        findings.append(RETENTION_UNBOUNDED.found("retention.max_messages and retention.max_age_days are both 0"))
    used = sum(server.number("used_memory") for server in redis.primaries)
    found = growth(redis.traffic, retention, used)
    if found is None:
        said = "too little is stored, or for too short a time, to tell where memory is in a month"
        return Item("growth", said, tuple(findings))
    room = _room(redis)
    told = arithmetic(found)
    if room and found.stay and found.then_bytes > room:  # one that is full and stays so is memory_full's
        left = max(0.0, room - used) / found.added_bytes * DAYS
        findings.append(MEMORY_IN_A_MONTH.found(f"{told}; there is room for {size(room)}, full in {left:.0f} days"))
    return Item("growth", f"{told}, of {size(room)}", tuple(findings))


def arithmetic(found: Growth) -> str:
    """Each step of it, on one line."""
    return (
        f"{found.per_s:,.3g} messages a second (over {span(found.over_s)}) are {number(found.come)} in {DAYS} days; "
        f"retention lets {number(found.stay)} more stay (by {counted(found.logs, 'log')} of "
        f"{number(found.conversations)}), {found.message_bytes:,.0f} bytes each: "
        f"{size(found.used_bytes)} now + {size(found.added_bytes)} = {size(found.then_bytes)}"
    )


def _room(redis: RedisFacts) -> float:
    return sum(
        server.number("maxmemory") or OF_MACHINE * server.number("total_system_memory") for server in redis.primaries
    )
