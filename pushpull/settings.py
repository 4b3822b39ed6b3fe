"""The service's settings: one frozen struct per section, `Settings()` is the defaults.

Plain values: reading them from a file, the environment and flags, with their bounds checked, is `pushpull.config`;
the constructors here check nothing, so that tests can build what they like. Each key, its unit and the reason for
its default are told to operators in `config/pushpull.toml`, which a test holds against this module.

The bounds in `Meta` are the values that can work at all, not the ones that are wise.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

KIB: Final = 1024
MIB: Final = 1024 * KIB

Durability = Literal["memory", "fsync", "replicated"]
Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"]
WithdrawBy = Literal["read", "delivered"]
WebSocketPath = Literal["direct", "asgi"]
DemoPage = Literal["auto", "on", "off"]
Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""What this machine calls itself."""

Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1)]
CountOrNone = Annotated[int, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=86_400)]
PerSecond = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]
# One webhook request holds a whole batch; beyond this it is megabytes, and a timeout at the other end.
WebhookBatch = Annotated[int, Meta(ge=1, le=10_000)]

# Beside the connections: the listener, Redis connections, log and data files, and what a reload opens for a moment.
SPARE_FILES: Final = 512
BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the system's somaxconn cuts it short."""
DRAINED_S: Final = 20.0
"""What a stop takes beside `server.drain_s`: the last cursors, HTTP calls under way, Redis' own end."""

SECRETS: Final = frozenset({"redis.url", "auth.jwt_secret", "auth.api_keys", "offline.webhook_secret"})
"""The keys whose values are never shown: a Redis URL may hold a password. Each may come from a `<key>_file`."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section whose repr hides what must not reach a log."""

    def __repr__(self) -> str:
        section = type(self).__name__.lower()
        shown = (f"{key}={shown_value(f'{section}.{key}', getattr(self, key))!r}" for key in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"


def shown_value(name: str, value: Any) -> Any:
    """`value` as it may be shown: "(set)" in place of a secret that is not empty. `name` is `section.key`."""
    # The whole URL of a Redis is a secret: a password may stand in its user part or in its query.
    return "(set)" if name in SECRETS and value else value


class Server(_Section, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Count = 1
    worker_port: Port = 0  # 0: none
    data_dir: str = "data"
    drain_s: SecondsOrNone = 10.0
    origins: tuple[str, ...] = ()
    token_in_query: bool = False
    websocket: WebSocketPath = "direct"
    deflate_min_bytes: CountOrNone = KIB  # 0: never
    demo: DemoPage = "auto"
    console: bool = True


class Redis(_Section, frozen=True, kw_only=True):
    url: str = ""  # empty: an embedded server
    prefix: str = ""
    durability: Durability = "memory"
    replicas: Count = 1


class Auth(_Section, frozen=True, kw_only=True):
    jwt_secret: tuple[str, ...] = ()  # the first signs, all verify
    jwt_algorithms: tuple[Algorithm, ...] = ("HS256",)
    public_keys: tuple[str, ...] = ()  # PEM
    jwks_url: str = ""
    api_keys: tuple[str, ...] = ()
    audience: str = ""
    issuer: str = ""
    leeway_s: SecondsOrNone = 10.0


class Delivery(_Section, frozen=True, kw_only=True):
    push_max_members: CountOrNone = 200
    hysteresis: Share = 0.1
    push_max_per_s: Annotated[float, Meta(gt=0, le=1e9)] = 15.0
    push_window_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    ack_wait_ms: Milliseconds = 5_000
    backoff: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max_deliver: Count = 5
    max_ack_pending: Count = 256
    notify_interval_ms: Milliseconds = 200
    notify_interval_max_ms: Milliseconds = 2_000
    notify_away_ms: Milliseconds = 2_000
    inline_max_bytes: CountOrNone = 512
    tail_messages: Count = 5_000
    tail_bytes: Bytes = 2 * MIB
    tails_bytes: Bytes = 256 * MIB
    page_limit: Annotated[int, Meta(ge=1, le=500)] = 100
    page_bytes: Bytes = 256 * KIB
    max_windows: Count = 1_000_000
    cursor_flush_ms: Milliseconds = 500
    audit_interval_s: Seconds = 15.0
    audit_reads_per_s: PerSecond = 2_000.0


class Idempotency(_Section, frozen=True, kw_only=True):
    window_s: Annotated[int, Meta(ge=1, le=30 * 86_400)] = 3_600


class Retention(_Section, frozen=True, kw_only=True):
    max_messages: CountOrNone = 100_000  # 0: no bound
    max_age_days: CountOrNone = 0  # 0: no bound


class Limits(_Section, frozen=True, kw_only=True):
    frame_bytes: Annotated[int, Meta(ge=KIB)] = 128 * KIB
    body_bytes: Bytes = 64 * KIB
    mentions: CountOrNone = 100
    members: Count = 100_000
    conversations_per_user: Count = 5_000
    sessions_per_user: Count = 20
    connections: Count = 15_000
    connects_per_s: PerSecond = 5_000.0
    handshakes: Count = 2_000
    http_connections: Count = 2_000
    waiting_sends: Count = 10_000
    frames_per_s: PerSecond = 50.0
    sends_per_s: PerSecond = 20.0
    conversation_sends_per_s: PerSecond = 200.0
    buffer_bytes: Annotated[int, Meta(ge=KIB)] = MIB
    stall_s: Seconds = 30.0


class Offline(_Section, frozen=True, kw_only=True):
    webhook_url: str = ""  # empty: nobody is notified
    webhook_secret: str = ""
    delay_s: SecondsOrNone = 30.0
    withdraw_by: WithdrawBy = "read"
    batch: WebhookBatch = 500
    max_deliver: Count = 10
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0

    @property
    def silence_s(self) -> float:
        """After so long without a word its job goes to another worker: longer than one call with its tries takes."""
        return 3 * self.timeout_s + 5


class Tracing(_Section, frozen=True, kw_only=True):
    endpoint: str = ""  # empty: nothing is traced
    sample: Annotated[float, Meta(ge=0, le=1)] = 0.01
    cids: bool = False


class Log(_Section, frozen=True, kw_only=True):
    level: Level = "info"
    format: Format = "auto"


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All of them. Each section is frozen; a node puts another `delivery` into its own copy when the policy changes.

    So whoever needs a delivery setting asks for it when it needs it, and keeps the Settings and not the section.
    """

    server: Server = Server()
    redis: Redis = Redis()
    auth: Auth = Auth()
    delivery: Delivery = Delivery()
    idempotency: Idempotency = Idempotency()
    retention: Retention = Retention()
    limits: Limits = Limits()
    offline: Offline = Offline()
    tracing: Tracing = Tracing()
    log: Log = Log()


def open_files(limits: Limits) -> int:
    """How many files one process may have open with these limits; a connection is one."""
    return limits.connections + limits.http_connections + SPARE_FILES


def demo_is_on(settings: Settings) -> bool:
    """Whether a service with these settings shows the demo: by itself only where nobody else can reach it."""
    server = settings.server
    return server.demo == "on" or (server.demo == "auto" and not settings.redis.url and server.host in LOOPBACK)
