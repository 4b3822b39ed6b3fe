"""A tune report as text: the prices, what each way cost at each spot, the settings that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pushpull.delivery.costs import KINDS
from pushpull.tune.regret import Compared, compared, mean_regret, policy_regrets
from pushpull.tune.run import Report

MICRO: Final = 1e6
CLOSE: Final = 0.1
"""The policy's target: within a tenth of the better of push and notify."""
NAMES: Final = {
    "frames": "a frame of messages out (push)",
    "items": "each message in it",
    "acks": "an ack in",
    "notices": "a notice out",
    "pulls": "a pull in, its page cut and answered",
    "sends": "a message stored and heard",
    "flushes": "a call that writes a conversation's cursors",
}


def as_text(report: Report) -> str:
    return "\n".join([*_heading(report), "", *_prices(report), "", *_sweep(report), "", *_advice(report)])


def _heading(report: Report) -> Iterator[str]:
    where, scale = report.machine, report.scale
    yield f"{where.processor}, {where.cores} cores; {where.kernel}; Python {where.python}, {where.redis}"
    yield f"{scale.name}, {scale.members} members, {report.runs} run(s), {report.seconds:,.0f} s in all, {where.at}"
    yield from (f"{name}={value}" for name, value in where.settings.items())
    if report.disturbed:
        yield f"note: something else was busy on this machine in {report.disturbed} of {len(report.points)} stretches"
    yield from (f"WRONG: {what}" for what in report.wrong)


def _prices(report: Report) -> Iterator[str]:
    yield "server CPU for"
    for kind in KINDS:
        yield f"  {NAMES[kind]:<44} {getattr(report.prices, kind) * MICRO:7.1f} µs"


def _sweep(report: Report) -> Iterator[str]:
    rows = compared(report.points)
    yield "server CPU in µs for each member and second, and what the policy costs beside the better of push and notify"
    yield "  members   msg/s   look      push    notify    policy"
    for row in rows:
        yield _row(row)
    regrets = policy_regrets(rows)
    if regrets:
        close = sum(regret <= CLOSE for regret in regrets)
        spots = f"at {close} of {len(regrets)} spots, at worst {max(regrets):+.0%}"
        yield f"  the policy is within {CLOSE:.0%} of the better {spots}"
    for threshold in thresholds(rows):
        yield f"  a threshold of {threshold} members alone: {mean_regret(rows, threshold):+.0%} on average"


def thresholds(rows: Sequence[Compared]) -> list[int]:
    """One below the smallest size, and each size: all that a threshold can do to these spots."""
    return [0, *sorted({row.spot.size for row in rows})]


def _row(row: Compared) -> str:
    spot = row.spot
    costs = "".join(f"{row.costs[way] * MICRO:10.1f}" for way in ("push", "notify", "policy") if way in row.costs)
    beside = f"  {row.regret('policy'):+5.0%}" if "policy" in row.costs else ""
    return f"  {spot.size:7} {spot.rate:7g} {spot.viewers:6.0%}{costs}{beside}"


def _advice(report: Report) -> Iterator[str]:
    yield "settings, section [delivery]"
    for row in report.advised:
        change = f"{row.now:g}" if row.now == row.advised else f"{row.now:g} → {row.advised:g}"
        yield f"  {row.key:<20} {change:<18} {row.why}"
    yield ""
    yield "what they save, by the model, for one conversation of so many connected members"
    yield "  members   msg/s   cores now   cores then"
    for saving in report.savings:
        then = f"{saving.advised_cores:12.5f}  {_change(saving.now_cores, saving.advised_cores)}"
        yield f"  {saving.members:7} {saving.rate:7.3g} {saving.now_cores:11.5f} {then}"


def _change(now: float, then: float) -> str:
    return f"{then / now - 1:+.0%}" if now else ""
