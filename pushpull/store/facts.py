"""What `pushpull doctor` knows of the servers: as they said it, judged nowhere here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pushpull.store.address import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """One server. `info`: the fields of INFO, by Redis' names; `config`: of CONFIG GET, None where it is refused."""

    name: str
    role: Literal["primary", "replica"]
    info: Mapping[str, str]
    config: Mapping[str, str] | None
    ping_ms: tuple[float, ...] = ()  # one after the other, on one connection
    ahead_s: float = 0.0  # of this machine's clock; as far off as half a round trip, which is left out
    heard: bool | None = None  # whether what was published came back; None: not tried (a replica)

    def number(self, name: str) -> int:
        """A field of INFO that is a count; 0 where it is missing or none."""
        value = self.info.get(name, "")
        return int(value) if value.lstrip("-").isdigit() else 0

    def configured(self, name: str) -> str | None:
        """A directive's value; None where it is not known."""
        return None if self.config is None else self.config.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """`missing`: slots that nobody has, in words, "" for none; `failing`: members that the others call failed."""

    state: str
    missing: str
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelFacts:
    """By one of the sentinels. `sentinels`: how many there are; `refusal`: why they could not elect now, "" if so."""

    sentinels: int
    quorum: int
    refusal: str
    down_after_ms: int
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFacts:
    """One conversation's log: `messages` since `since_ms` (the oldest's, ms since 1970), in `size_bytes` of Redis.

    `most`, `days`: its own retention; None: the service's.
    """

    messages: int
    since_ms: int
    size_bytes: int
    most: int | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficFacts:
    """What is stored, and how fast it grows.

    `looked_at` keys of `keys` were seen, with `conversations` among them, `logs` are some of those, and `foreign` that
    are none of the service's. `appended`: messages in the `over_s` seconds looked at; `appended_before`: in `before_s`,
    since the servers started.
    """

    keys: int = 0
    looked_at: int = 0
    conversations: int = 0
    foreign: int = 0
    logs: tuple[LogFacts, ...] = ()
    appended: int = 0
    over_s: float = 0.0
    appended_before: int = 0
    before_s: float = 0.0
    now_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    """All of it. `problem`: why nothing could be asked, "" where it could; then the rest is as good as empty.

    `away`: servers that are known and do not answer. `durability`: why `redis.durability` cannot be given. `schema`: 0
    for none yet. `collisions`: keys that somebody else uses under the service's names.
    """

    kind: Kind
    hosts: tuple[str, ...]  # as the URL names them; "" is a unix socket
    tls: bool
    password: bool
    embedded: bool = False
    problem: str = ""
    servers: tuple[ServerFacts, ...] = ()
    away: tuple[str, ...] = ()
    cluster: ClusterFacts | None = None
    sentinel: SentinelFacts | None = None
    durability: str = ""
    schema: int = 0
    collisions: tuple[str, ...] = ()
    traffic: TrafficFacts = field(default_factory=TrafficFacts)

    @property
    def primaries(self) -> tuple[ServerFacts, ...]:
        return tuple(server for server in self.servers if server.role == "primary")

    @property
    def replicas(self) -> tuple[ServerFacts, ...]:
        return tuple(server for server in self.servers if server.role == "replica")
