"""Gathering the facts: the machine's own files, a running service's answers. Redis: `pushpull.store.examination`."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pushpull.client import Server
from pushpull.config import Origins
from pushpull.doctor.facts import Facts, MachineFacts, NodeFacts, ServiceFacts
from pushpull.embedded import running
from pushpull.errors import ConfigError, PushpullError, Unauthenticated
from pushpull.local_keys import API_KEY_FILE, JWT_SECRET_FILE
from pushpull.redis_server import find_binary
from pushpull.settings import SECRETS, Settings
from pushpull.store.examination import Look, examine

SERVICE_RETRY_S: Final = 2.0
NO_KEY: Final = "none"

_CGROUPS: Final = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


async def gather(
    settings: Settings, origins: Origins, look: Look, *, urls: Iterable[str] = (), key: str | None = None
) -> Facts:
    """Everything the checks look at. `urls`, `key`: of a running service, which is asked, too.

    Raises ConfigError for a redis.url that cannot be used.
    """
    url = settings.redis.url or running(settings.server.data_dir)
    redis = None if url is None else await examine(url, settings, look, embedded=not settings.redis.url)
    return Facts(
        settings=settings,
        machine=machine_of(settings, origins, redis_runs=redis is not None),
        redis=redis,
        services=tuple(service_at(each, key) for each in urls),
    )


# ---------------------------------------------------------------------------------------------------- the machine


def machine_of(
    settings: Settings, origins: Origins, *, redis_runs: bool = False, root: Path = Path("/")
) -> MachineFacts:
    """This machine. `root`: where /proc and /sys are."""
    data_dir = Path(settings.server.data_dir)
    embedded = not settings.redis.url
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MachineFacts(
        cores=_cores(),
        memory_bytes=_memory(root),
        open_files=None if hard == resource.RLIM_INFINITY else hard,
        somaxconn=_number(root / "proc/sys/net/core/somaxconn"),
        overcommit=_number(root / "proc/sys/vm/overcommit_memory"),
        huge_pages=_huge_pages(root),
        free_bytes=shutil.disk_usage(_existing(data_dir)).free,
        data_dir_problem=_unusable(data_dir) if embedded else "",
        redis_problem=_no_server() if embedded and not redis_runs else "",
        readable=tuple(_readable(settings, origins)),
    )


def _cores() -> int:
    # Of a container or a unit: those it may run on, not those there are.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory(root: Path) -> int | None:
    """Of the machine, or what a control group leaves of it."""
    bounds = [bound for path in _CGROUPS if (bound := _number(root / path)) is not None]
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        bounds += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    return min(bounds, default=None)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def _huge_pages(root: Path) -> str | None:
    """The word in brackets: `always [madvise] never`."""
    try:
        return (root / "sys/kernel/mm/transparent_hugepage/enabled").read_text().partition("[")[2].partition("]")[0]
    except OSError:
        return None


def _existing(path: Path) -> Path:
    """`path`, or the directory above in which it would be made."""
    whole = path.absolute()
    return next(each for each in (whole, *whole.parents) if each.exists())


def _unusable(data_dir: Path) -> str:
    place = _existing(data_dir)
    if not place.is_dir():
        return f"{place} is not a directory"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"{place} is not writable for this user"


def _no_server() -> str:
    try:
        find_binary()
    except ConfigError as problem:
        return problem.message
    return ""


def _readable(settings: Settings, origins: Origins) -> Iterable[str]:
    """Files that hold secrets, by the origins of the secrets and in the data directory, and that others can read."""
    paths = {Path(settings.server.data_dir) / name for name in (JWT_SECRET_FILE, API_KEY_FILE)}
    # `file X`: the settings file itself; one that a `<key>_file` names is its operator's to guard.
    paths |= {Path(origins[name][len("file ") :]) for name in SECRETS if _is_inline(origins.get(name, ""))}
    for path in sorted(paths):
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o077:
                yield str(path)


def _is_inline(origin: str) -> bool:
    return origin.startswith("file ") and not origin.endswith("_file)")


# ---------------------------------------------------------------------------------------------------- a service


def service_at(url: str, key: str | None) -> ServiceFacts:
    """What the service at `url` says; its nodes only with a `key`."""
    with Server(url, key or NO_KEY, retry_s=SERVICE_RETRY_S) as server:
        try:
            checks = server.ready()["checks"]
            facts = ServiceFacts(url=url, failing={name: str(said) for name, said in checks.items() if said != "ok"})
            return replace(facts, nodes=_nodes(server)) if key else facts
        except Unauthenticated as problem:
            return replace(facts, refusal=problem.message)
        except PushpullError as problem:
            return ServiceFacts(url=url, problem=problem.message)


def _nodes(server: Server) -> tuple[NodeFacts, ...]:
    figures = {each["node"]: each.get("figures") or {} for each in server.stats()["nodes"]}
    return tuple(
        NodeFacts(
            id=node["node"],
            version=node.get("version", ""),
            sessions=node.get("sessions", 0),
            feeds=node.get("feeds", 0),
            lag_ms=node.get("lag_ms", 0.0),
            load=figures.get(node["node"], {}).get("load", 0.0),
            shedding=figures.get(node["node"], {}).get("shedding", 0),
        )
        for node in server.nodes()
    )
