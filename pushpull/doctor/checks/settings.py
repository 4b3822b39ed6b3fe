"""Settings that a start takes and that work against each other. What cannot work at all: `pushpull.contradictions`."""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.amounts import counted, size, span
from pushpull.doctor.facts import Facts, MachineFacts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.settings import DRAINED_S, Delivery, Settings

SETTINGS_INVALID = error(
    "settings_invalid",
    why="the service does not start with these settings",
    mend="correct what is named; config/pushpull.toml explains every key, pushpull config shows where each comes from",
)
REDELIVERY_LONG = warning(
    "redelivery_long",
    why="a device that does not ack keeps its connection and its window that long before it is closed as dead",
    mend="lower delivery.backoff or delivery.max_deliver: the log is the safety net, not the window",
)
ACK_WAIT_SHORT = warning(
    "ack_wait_short",
    why="a phone on a bad network needs longer: what it has got is sent again, and again",
    mend="delivery.ack_wait_ms = 5000",
)
BUFFERS_EXCEED_MEMORY = warning(
    "buffers_exceed_memory",
    why="when a tenth of all devices reads slowly, what waits for them fills this machine's memory",
    mend="lower limits.buffer_bytes or limits.connections",
)
TAILS_EXCEED_MEMORY = warning(
    "tails_exceed_memory",
    why="the newest messages that workers hold for pulls may take more than half of this machine's memory",
    mend="lower delivery.tails_bytes: each worker has that much",
)
PAGE_EXCEEDS_BUFFER = warning(
    "page_exceeds_buffer",
    why="one page fills a connection's buffer: a device that catches up is demoted to notices by its own pull",
    mend="delivery.page_bytes well below limits.buffer_bytes",
)
TAIL_TOO_SHORT = warning(
    "tail_too_short",
    why="a batch or a page is longer than what is kept in memory: each one is a read of Redis",
    mend="delivery.tail_messages above delivery.max_ack_pending and delivery.page_limit",
)
WINDOWS_SHORT = warning(
    "windows_short",
    why="not even one conversation can be pushed to each connection: the longest waiting are demoted to notices",
    mend="delivery.max_windows at several times limits.connections",
)
NOTIFIED_TOO_SOON = warning(
    "notified_too_soon",
    why="a cursor is written only every so often: people are notified of what they have just read",
    mend="offline.delay_s of some seconds at least",
)
DRAIN_TOO_LONG = warning(
    "drain_too_long",
    why="systemd kills after 90 s, Kubernetes after 30 and docker after 10 unless told otherwise: a drain cut short "
    "leaves cursors unwritten",
    mend="TimeoutStopSec, terminationGracePeriodSeconds or stop_grace_period above {wanted:.0f} s, or a shorter drain",
)
DRAIN_TOO_SHORT = warning(
    "drain_too_short",
    why="the devices of a full node move faster than another lets them in: they are refused and come again",
    mend="server.drain_s of at least {wanted:.0f} s",
)
ADMISSION_SLOW = warning(
    "admission_slow",
    why="after a restart it takes that long until everybody is back",
    mend="raise limits.connects_per_s (about 5,000 is what one core can let in), or spread devices over more nodes",
)
IDEMPOTENCY_SHORT = warning(
    "idempotency_short",
    why="a phone that was in a tunnel sends again under the same cmid, and the message is refused as too old",
    mend="idempotency.window_s = 3600; it costs 155 bytes a message while it lasts",
)
WORKERS_EXCEED_CORES = warning(
    "workers_exceed_cores",
    why="workers that share a core with each other or with Redis gain nothing and make everybody late",
    mend="server.workers of at most {wanted}",
)

REDELIVERY_S = 3_600.0
ACK_WAIT_MS = 1_000
SLOW_SHARE = 0.1
TAILS_SHARE = 0.5
STOPPED_S = 90.0
ADMITTED_S = 60.0
IDEMPOTENCY_S = 600


def settings(facts: Facts) -> Item:
    """All pairs that can work against each other."""
    found = facts.settings
    findings = (*_delivery(found), *_memory(found, facts.machine), *_moving(found), *_rest(found, facts))
    workers = counted(found.server.workers, "worker")
    return Item("settings", f"{workers}, {found.limits.connections:,} connections each", findings)


def exhausted_s(delivery: Delivery) -> float:
    """How long a device that never acks is waited for: ack_wait, and each further wait longer by `backoff`."""
    factor, times, first_s = delivery.backoff, delivery.max_deliver, delivery.ack_wait_ms / 1000
    if factor == 1:
        return first_s * times
    # No float is large enough for 100 ** 1000.
    return first_s * (factor ** min(times, 100) - 1) / (factor - 1)


def _delivery(settings: Settings) -> Iterator[Finding]:
    delivery, limits = settings.delivery, settings.limits
    if exhausted_s(delivery) > REDELIVERY_S:
        yield REDELIVERY_LONG.found(
            f"delivery.ack_wait_ms {delivery.ack_wait_ms}, backoff {delivery.backoff:g} and max_deliver "
            f"{delivery.max_deliver} make {span(exhausted_s(delivery))}"
        )
    if delivery.ack_wait_ms < ACK_WAIT_MS:
        yield ACK_WAIT_SHORT.found(f"delivery.ack_wait_ms is {delivery.ack_wait_ms}")
    if delivery.page_bytes > limits.buffer_bytes:
        yield PAGE_EXCEEDS_BUFFER.found(
            f"delivery.page_bytes is {delivery.page_bytes:,}, limits.buffer_bytes {limits.buffer_bytes:,}"
        )
    if delivery.tail_messages < max(delivery.max_ack_pending, delivery.page_limit):
        yield TAIL_TOO_SHORT.found(
            f"delivery.tail_messages is {delivery.tail_messages}, max_ack_pending {delivery.max_ack_pending}, "
            f"page_limit {delivery.page_limit}"
        )
    if delivery.max_windows < limits.connections:
        yield WINDOWS_SHORT.found(
            f"delivery.max_windows is {delivery.max_windows:,}, limits.connections {limits.connections:,}"
        )


def _memory(settings: Settings, machine: MachineFacts) -> Iterator[Finding]:
    if machine.memory_bytes is None:
        return
    workers, limits = settings.server.workers, settings.limits
    buffers = SLOW_SHARE * workers * limits.connections * limits.buffer_bytes
    if buffers > machine.memory_bytes:
        yield BUFFERS_EXCEED_MEMORY.found(
            f"a tenth of {workers} workers × {limits.connections:,} connections × {size(limits.buffer_bytes)} is "
            f"{size(buffers)}, memory {size(machine.memory_bytes)}"
        )
    tails = workers * settings.delivery.tails_bytes
    if tails > TAILS_SHARE * machine.memory_bytes:
        yield TAILS_EXCEED_MEMORY.found(
            f"{workers} workers × delivery.tails_bytes are {size(tails)}, memory {size(machine.memory_bytes)}"
        )


def _moving(settings: Settings) -> Iterator[Finding]:
    """Devices that leave, and come back."""
    server, limits = settings.server, settings.limits
    ends_s = server.drain_s + DRAINED_S
    if ends_s > STOPPED_S:
        yield DRAIN_TOO_LONG.found(
            f"server.drain_s {server.drain_s:g} and what follows take {ends_s:g} s", wanted=ends_s
        )
    admits_s = limits.connections / limits.connects_per_s
    if server.drain_s < admits_s <= ADMITTED_S:
        seen = f"{limits.connections:,} connections leave within server.drain_s {server.drain_s:g}, "
        yield DRAIN_TOO_SHORT.found(f"{seen}{limits.connects_per_s:g} a second are let in", wanted=admits_s)
    if admits_s > ADMITTED_S:
        seen = f"{limits.connections:,} connections at limits.connects_per_s {limits.connects_per_s:g}"
        yield ADMISSION_SLOW.found(f"{seen} take {span(admits_s)}")


def _rest(settings: Settings, facts: Facts) -> Iterator[Finding]:
    offline, flush_s = settings.offline, settings.delivery.cursor_flush_ms / 1000
    if offline.webhook_url and offline.delay_s <= flush_s:
        yield NOTIFIED_TOO_SOON.found(f"offline.delay_s is {offline.delay_s:g}, cursors wait up to {flush_s:g} s")
    if settings.idempotency.window_s < IDEMPOTENCY_S:
        yield IDEMPOTENCY_SHORT.found(f"idempotency.window_s is {settings.idempotency.window_s}")
    cores = facts.machine.cores - facts.redis_is_here
    if settings.server.workers > max(1, cores):
        beside = ", one of them for Redis" if facts.redis_is_here else ""
        seen = f"server.workers is {settings.server.workers}, this machine has {facts.machine.cores} cores{beside}"
        yield WORKERS_EXCEED_CORES.found(seen, wanted=max(1, cores))
