"""Does Redis keep what it has confirmed?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.settings import Durability
from pushpull.store.facts import ServerFacts

NO_PERSISTENCE = error(
    "no_persistence",
    why="a restart of Redis loses every message, and a primary that comes back empty empties its replicas",
    mend="CONFIG SET appendonly yes, then CONFIG REWRITE (or appendonly yes in its file)",
)
SNAPSHOTS_ONLY = warning(
    "snapshots_only",
    why="a crash loses everything since the last snapshot: minutes of messages that were confirmed",
    mend="CONFIG SET appendonly yes, then CONFIG REWRITE",
)
FSYNC_NEVER = warning(
    "fsync_never",
    why="the system writes when it likes: a crash of the machine loses half a minute and more, not a second",
    mend="CONFIG SET appendfsync everysec (or always), then CONFIG REWRITE",
)
FSYNC_PAUSED = warning(
    "fsync_paused",
    why="while the append-only file is rewritten nothing is synced: a crash then loses all of that time",
    mend="CONFIG SET no-appendfsync-on-rewrite no, then CONFIG REWRITE",
)
PERSISTENCE_FAILING = error(
    "persistence_failing",
    why="what is confirmed now is not on disk, and after a failed snapshot Redis may refuse writes altogether",
    mend="look at Redis' log: most often the disk is full, or the directory not writable; then BGREWRITEAOF",
)
DURABILITY_UNMET = error(
    "durability_unmet",
    why="the service does not start: it would promise with `sent` what Redis does not keep",
    mend='CONFIG SET appendonly yes and appendfsync always, or set redis.durability = "memory"',
)

WRITES = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")


def persistence(facts: Facts) -> Item | None:
    """The append-only file of each server, and whether it is enough for what is promised."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    wanted = facts.settings.redis.durability
    findings = [finding for server in redis.servers for finding in _of(server, wanted)]
    if redis.durability:
        findings.append(DURABILITY_UNMET.found(redis.durability))
    kept = sorted({_told(server) for server in redis.servers})
    return Item("persistence", f"{'; '.join(kept)}; durability {wanted}", tuple(findings))


def _told(server: ServerFacts) -> str:
    if server.info.get("aof_enabled") != "1":
        return "no append-only file"
    return f"append-only file, appendfsync {server.configured('appendfsync') or 'unknown'}"


def _of(server: ServerFacts, durability: Durability) -> Iterator[Finding]:
    failing = [name for name in WRITES if server.info.get(name) == "err"]
    if failing:
        yield PERSISTENCE_FAILING.found(f"{server.name}: {', '.join(failing)} is err")
    if server.info.get("aof_enabled") != "1":
        saves = server.configured("save")
        if saves:
            yield SNAPSHOTS_ONLY.found(f"{server.name} has appendonly no and save {saves!r}")
        else:
            yield NO_PERSISTENCE.found(f"{server.name} has appendonly no, and no save")
        return
    if server.configured("appendfsync") == "no":
        yield FSYNC_NEVER.found(f"{server.name} has appendfsync no")
    elif server.configured("no-appendfsync-on-rewrite") == "yes":
        yield FSYNC_PAUSED.found(f"{server.name} has no-appendfsync-on-rewrite yes, durability is {durability}")
