"""How a demo ended: the figures, whether all is well, and the text for people."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pushpull.demo.latency import Spread
from pushpull.demo.ledger import Tally
from pushpull.demo.plan import Plan
from pushpull.demo.readings import Reading
from pushpull.demo.reports import Counts, Verdict


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Messages and deliveries of the hot group, or of all small ones. A delivery: one message on one device."""

    sent: int
    expected: int
    shown: int
    missing: int
    shown_twice: int
    out_of_order: int
    unexpected: int
    latency: Spread


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What it took, while sending and catching up; None: not known from here."""

    server_cpu_s: float | None
    redis_cpu_s: float | None
    fleet_cpu_s: float
    redis_commands_per_message: float | None  # all of them: also acks, reads, and what scripts call
    redis_calls: dict[str, int]  # by command, those inside scripts too
    xadds_per_message: float | None  # the writes of message bodies: one, however many members


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. `ok`: nothing is missing, shown twice, out of order, unexpected, refused or unanswered."""

    ok: bool
    members: int
    connected: int
    groups: int
    seconds: float
    catch_up_s: float
    hot: Traffic
    small: Traffic
    latency_flaky: Spread
    refused: int
    unanswered: int
    devices: Counts
    service: dict[str, int]  # the service's own counts of the same time
    cost: Cost
    failures: list[str]


def summarize(plan: Plan, counts: Counts, verdict: Verdict, before: Reading, after: Reading) -> Summary:
    """Put together what the fleet says and what the service counted between two readings."""
    failed = counts.refused + verdict.unanswered
    return Summary(
        ok=verdict.hot.clean and verdict.small.clean and not failed and not verdict.failures,
        members=plan.members,
        connected=plan.connected,
        groups=plan.groups,
        seconds=verdict.seconds,
        catch_up_s=verdict.catch_up_s,
        hot=_traffic(counts.sent_hot, verdict.hot, verdict.latency_hot),
        small=_traffic(counts.sent_small, verdict.small, verdict.latency_small),
        latency_flaky=verdict.latency_flaky,
        refused=counts.refused,
        unanswered=verdict.unanswered,
        devices=counts,
        service=_grown(before.metrics, after.metrics),
        cost=_cost(counts.sent_hot + counts.sent_small, verdict.cpu_s, before, after),
        failures=verdict.failures,
    )


def _traffic(sent: int, tally: Tally, latency: Spread) -> Traffic:
    return Traffic(
        sent=sent,
        expected=tally.expected,
        shown=tally.shown,
        missing=tally.missing,
        shown_twice=tally.twice,
        out_of_order=tally.out_of_order,
        unexpected=tally.unexpected,
        latency=latency,
    )


def _grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, int]:
    totals = (name for name in after if name.endswith("_total"))
    grown = {name.removesuffix("_total"): int(after[name] - before.get(name, 0.0)) for name in totals}
    return {name: count for name, count in sorted(grown.items()) if count}


def _cost(messages: int, fleet_cpu_s: float, before: Reading, after: Reading) -> Cost:
    if before.redis_run != after.redis_run:
        before = Reading(server_cpu_s=before.server_cpu_s)
        after = Reading(server_cpu_s=after.server_cpu_s)
    commands = _difference(before.redis_commands, after.redis_commands)
    calls = {name: count - before.redis_calls.get(name, 0) for name, count in after.redis_calls.items()}
    return Cost(
        server_cpu_s=_difference(before.server_cpu_s, after.server_cpu_s),
        redis_cpu_s=_difference(before.redis_cpu_s, after.redis_cpu_s),
        fleet_cpu_s=fleet_cpu_s,
        redis_commands_per_message=round(commands / messages, 2) if commands is not None and messages else None,
        redis_calls={name: count for name, count in sorted(calls.items()) if count},
        xadds_per_message=round(calls["xadd"] / messages, 2) if "xadd" in calls and messages else None,
    )


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(after - before, 2)


def as_text(summary: Summary) -> str:
    """A few aligned lines, the verdict last."""
    hot, small, devices = summary.hot, summary.small, summary.devices
    rows = [
        ("sent", f"{hot.sent:,} to the hot group of {summary.members:,} members ({summary.connected:,} connected), "),
        ("", f"{small.sent:,} to {summary.groups:,} small groups, in {summary.seconds:g} s"),
        ("deliveries", f"{hot.shown + small.shown:,} of {hot.expected + small.expected:,} (messages × devices)"),
        ("missing", f"{hot.missing + small.missing:,}"),
        ("shown twice", f"{hot.shown_twice + small.shown_twice:,} ({devices.suppressed:,} came twice, shown once)"),
        ("out of order", f"{hot.out_of_order + small.out_of_order:,}"),
        ("unexpected", f"{hot.unexpected + small.unexpected:,}"),
        ("refused", f"{summary.refused:,}"),
        ("unanswered", f"{summary.unanswered:,} ({devices.repeated_sends:,} sent twice, stored once)"),
        ("redelivered", f"{devices.redelivered:,} messages to devices that withheld acks"),
        ("reconnects", f"{devices.reconnects:,}; all had caught up {summary.catch_up_s:.1f} s after the last send"),
        ("pulls", f"{devices.pulls:,} after {devices.notices:,} notices"),
        ("latency, hot", _spread_text(hot.latency)),
        ("latency, small", _spread_text(small.latency)),
        ("latency, flaky", _spread_text(summary.latency_flaky)),
        *_cost_rows(summary.cost),
        *(("failed", failure) for failure in summary.failures),
        ("verdict", "everything arrived, once, in order" if summary.ok else "FAILED"),
    ]
    return "\n".join(f"{name:<16}{text}".rstrip() for name, text in rows)


def _spread_text(spread: Spread) -> str:
    if not spread.count:
        return "-"
    parts = (("p50", spread.p50_ms), ("p95", spread.p95_ms), ("p99", spread.p99_ms), ("max", spread.max_ms))
    return "  ".join(f"{name} {ms:,.0f} ms" for name, ms in parts)


def _cost_rows(cost: Cost) -> list[tuple[str, str]]:
    times = (("service", cost.server_cpu_s), ("redis", cost.redis_cpu_s), ("these devices", cost.fleet_cpu_s))
    rows = [("processor time", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times if seconds is not None))]
    if cost.redis_commands_per_message is not None:
        of_all = f"{cost.redis_commands_per_message:g} a message with all acks and reads"
        rows.append(("redis", f"{cost.xadds_per_message or 0:g} xadd a message; commands: {of_all}"))
    return rows
