"""Does Redis answer fast, on time, and do doorbells ring?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.amounts import counted, size
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.doctor.growth import rate_of
from pushpull.settings import Settings
from pushpull.store.facts import RedisFacts, ServerFacts

SLOW_PINGS = warning(
    "slow_pings",
    why="each send, page and flush of cursors waits that long at least, and a storm of reconnects many times that",
    mend="same data centre, no swapping, no slow commands of others (SLOWLOG GET 10), a core for Redis alone",
)
FORK_SLOW = warning(
    "fork_slow",
    why="Redis stands still that long each time it begins to rewrite its append-only file",
    mend="less memory in each server (more primaries of a cluster), no huge pages, another kind of virtual machine",
)
CLOCK_SKEW = warning(
    "clock_skew",
    why="messages are dated by Redis' clock and tokens judged by the node's: those of a fast issuer are refused",
    mend="run chrony or systemd-timesyncd on both machines",
)
BELLS_UNHEARD = error(
    "bells_unheard",
    why="doorbells do not ring: messages arrive seconds late, by the audit alone, and readyz is false",
    mend="allow the user sharded pub/sub (ACL: &* +@pubsub), and look at what stands between here and Redis",
)
BELL_BUFFER_SMALL = warning(
    "bell_buffer_small",
    why="Redis cuts a node off that cannot take its doorbells for a moment, and it reads every log again",
    mend='CONFIG SET client-output-buffer-limit "pubsub {hard} {soft} 60", then CONFIG REWRITE',
)

PING_P99_MS = 10.0
PING_P50_MS = 3.0
FORK_MS = 100.0
SKEW_S = 1.0
LAGGING_S = 5.0  # how long a node may be stopped (a swap, a virtual machine that moves) without being cut off
LEAST_PER_S = 1_000.0
BELL_BYTES = 256  # beside the message that rides in it


def latency(facts: Facts) -> Item | None:
    """How long pings take from here, and how long a fork stopped it."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    pings = {server.name: _quantiles(server.ping_ms) for server in redis.primaries if server.ping_ms}
    findings = [
        SLOW_PINGS.found(f"{name} answers {len(redis.primaries[0].ping_ms)} pings within {_ms(half)}, 99 % {_ms(most)}")
        for name, (half, most) in pings.items()
        if half > PING_P50_MS or most > PING_P99_MS
    ]
    for server in redis.servers:
        fork_ms = server.number("latest_fork_usec") / 1000
        if fork_ms > FORK_MS:
            findings.append(FORK_SLOW.found(f"the last fork of {server.name} took {fork_ms:,.0f} ms"))
    told = ", ".join(f"{_ms(half)} (99 %: {_ms(most)})" for half, most in pings.values())
    return Item("latency", f"ping {told}" if told else "not measured", tuple(findings))


def _quantiles(times: tuple[float, ...]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[(len(ordered) - 1) * 99 // 100]


def _ms(value: float) -> str:
    return f"{value:.2f} ms"


def clock(facts: Facts) -> Item | None:
    """How far apart the clocks are."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    findings = [
        CLOCK_SKEW.found(f"the clock of {server.name} is {abs(server.ahead_s):.1f} s {_direction(server)} this one")
        for server in redis.servers
        if abs(server.ahead_s) > SKEW_S
    ]
    most = max((abs(server.ahead_s) for server in redis.servers), default=0.0)
    return Item("clock", f"apart by {most:.3f} s at most", tuple(findings))


def _direction(server: ServerFacts) -> str:
    return "ahead of" if server.ahead_s > 0 else "behind"


def doorbells(facts: Facts) -> Item | None:
    """Whether what is published is heard, on each shard, and how much may wait for a node."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    findings = [
        BELLS_UNHEARD.found(f"what was published on {server.name} did not come back within 2 s")
        for server in redis.primaries
        if server.heard is False
    ]
    findings += [finding for server in redis.servers for finding in _buffer(server, facts.settings, redis)]
    heard = sum(server.heard is True for server in redis.primaries)
    return Item("doorbells", f"heard from {heard} of {counted(len(redis.primaries), 'shard')}", tuple(findings))


def _buffer(server: ServerFacts, settings: Settings, redis: RedisFacts) -> Iterator[Finding]:
    """Whether the bells of LAGGING_S fit, at twice the present rate and at LEAST_PER_S in any case."""
    words = (server.configured("client-output-buffer-limit") or "").split()
    if "pubsub" not in words:
        return
    at = words.index("pubsub")
    hard, soft = (int(word) for word in words[at + 1 : at + 3])
    rate = max(LEAST_PER_S, 2 * (rate_of(redis.traffic) or (0.0, 0.0))[0])
    bell = settings.delivery.inline_max_bytes + BELL_BYTES
    wanted = int(LAGGING_S * rate * bell)
    if any(0 < limit < wanted for limit in (hard, soft)):
        seen = f"{server.name} lets {size(hard)} wait ({size(soft)} for a while); "
        seen += f"{LAGGING_S:.0f} s of {rate:,.0f} bells a second at {bell} bytes are {size(wanted)}"
        yield BELL_BUFFER_SMALL.found(seen, hard=4 * wanted, soft=wanted)
