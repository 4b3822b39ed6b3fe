"""What the checks look at: settings, the machine, Redis, and running nodes, as they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pushpull.settings import LOOPBACK, Settings
from pushpull.store.facts import RedisFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The machine the command runs on. None: not known here, as where there is no /proc."""

    cores: int
    memory_bytes: int | None  # or the container's bound, if that is less
    open_files: int | None = None  # the hard limit; None: there is none
    somaxconn: int | None = None
    overcommit: int | None = None
    huge_pages: str | None = None  # always, madvise or never
    free_bytes: int | None = None  # where server.data_dir is, or will be
    data_dir_problem: str = ""
    redis_problem: str = ""  # why no embedded server could be started; "" also where it runs already
    readable: tuple[str, ...] = ()  # files with secrets in them that others than their owner can read


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node, as it says of itself. `version`: "" where it does not say; `load` 0 to 1 and `shedding` 0 to 3."""

    id: str
    version: str = ""
    sessions: int = 0
    feeds: int = 0
    lag_ms: float = 0.0
    load: float = 0.0
    shedding: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFacts:
    """A service as one URL of it answers. `failing`: the checks of `readyz` that do not say ok; `refusal`: what it said
    to the API key."""

    url: str
    problem: str = ""
    failing: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    nodes: tuple[NodeFacts, ...] | None = None  # None: not asked, for want of an API key that it takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    settings: Settings
    machine: MachineFacts
    redis: RedisFacts | None  # None: the embedded server does not run
    services: tuple[ServiceFacts, ...] = ()

    @property
    def redis_is_here(self) -> bool:
        """Whether Redis runs on this machine, so that this machine's kernel is its kernel."""
        if self.redis is None:
            return not self.settings.redis.url
        return set(self.redis.hosts) <= LOOPBACK | {""}
