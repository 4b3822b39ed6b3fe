"""Is there room, and does Redis refuse rather than forget when there is none?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.amounts import size
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.store.facts import ServerFacts

EVICTS = error(
    "evicts",
    why="when memory is short Redis throws keys away, and with them history and members, without telling anybody",
    mend="CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE",
)
EVICTED = error(
    "evicted",
    why="keys were thrown away since this server started: conversations may lack their log, their members or cursors",
    mend="set noeviction and give it memory, then restore a copy; CONFIG RESETSTAT when it has been seen to",
)
MEMORY_FULL = error(
    "memory_full",
    why="at maxmemory every send is refused with store_unavailable, any moment now",
    mend="raise maxmemory, or lower retention.max_messages: the sweeper trims within minutes",
)
MEMORY_NEARLY_FULL = warning(
    "memory_nearly_full",
    why="at maxmemory every send is refused with store_unavailable",
    mend="plan for more memory, or keep less (retention.max_messages, retention.max_age_days)",
)
MAXMEMORY_UNSET = warning(
    "maxmemory_unset",
    why="Redis grows until the kernel kills a process, perhaps Redis itself; with a bound it refuses, and says so",
    mend="CONFIG SET maxmemory {wanted} (bytes; three quarters of its machine), then CONFIG REWRITE",
)
MAXMEMORY_TOO_LARGE = warning(
    "maxmemory_too_large",
    why="rewriting the append-only file and the buffers of replicas and bells need room beside the data",
    mend="CONFIG SET maxmemory {wanted} (bytes; three quarters of its machine), or give the machine more",
)
LAZY_EXPIRE_OFF = warning(
    "lazy_expire_off",
    why="a table of remembered cmids expires whole: a large one stalls Redis, and all senders, for a tenth of a second",
    mend="CONFIG SET lazyfree-lazy-expire yes, then CONFIG REWRITE",
)

FULL = 0.95
NEARLY = 0.75
OF_MACHINE = 0.75
MOST_OF_MACHINE = 0.85


def memory(facts: Facts) -> Item | None:
    """Used, bounded, and what happens at the bound."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    findings = [finding for server in redis.servers for finding in _of(server, embedded=redis.embedded)]
    used = ", ".join(_told(server) for server in redis.servers)
    return Item("memory", used, tuple(findings))


def _told(server: ServerFacts) -> str:
    most = server.number("maxmemory")
    return f"{size(server.number('used_memory'))} of {size(most)}" if most else size(server.number("used_memory"))


def _of(server: ServerFacts, *, embedded: bool) -> Iterator[Finding]:
    policy = server.info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield EVICTS.found(f"{server.name} has maxmemory-policy {policy}")
    if server.number("evicted_keys"):
        yield EVICTED.found(f"{server.name} has evicted {server.number('evicted_keys'):,} keys")
    if server.configured("lazyfree-lazy-expire") == "no":
        yield LAZY_EXPIRE_OFF.found(f"{server.name} has lazyfree-lazy-expire no")
    yield from _room(server, embedded=embedded)


def _room(server: ServerFacts, *, embedded: bool) -> Iterator[Finding]:
    used, most, machine = (server.number(name) for name in ("used_memory", "maxmemory", "total_system_memory"))
    wanted = int(OF_MACHINE * machine)
    if not most:
        # The embedded server lives beside its service on a machine of its own; a bound would be a guess there.
        if not embedded:
            yield MAXMEMORY_UNSET.found(f"{server.name} has no maxmemory, its machine {size(machine)}", wanted=wanted)
        most = machine
    elif machine and most > MOST_OF_MACHINE * machine:
        seen = f"{server.name} has maxmemory {size(most)}, its machine {size(machine)}"
        yield MAXMEMORY_TOO_LARGE.found(seen, wanted=wanted)
    seen = f"{server.name} uses {size(used)} of {size(most)}"
    if most and used > FULL * most:
        yield MEMORY_FULL.found(seen)
    elif most and used > NEARLY * most:
        yield MEMORY_NEARLY_FULL.found(seen)
