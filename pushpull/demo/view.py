"""The terminal view: what happens now, twice a second. `Screen` keeps the last rates; drawing changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pushpull.demo.director import Progress
from pushpull.demo.latency import Spread
from pushpull.demo.reports import Report

KEPT: Final = 20
"""Rates remembered, two a second; older ones are dropped. A third of a narrow terminal shows so many."""
SOONEST_S: Final = 0.4
"""Between two rates: what is told sooner (a change of phase) would give a rate of a few milliseconds."""
BARS: Final = "▁▂▃▄▅▆▇█"


class Screen:
    """Take each piece of news with `update`; draw with `render`."""

    def __init__(self) -> None:
        self.sent: deque[float] = deque(maxlen=KEPT)
        self.shown: deque[float] = deque(maxlen=KEPT)
        self._progress: Progress | None = None
        self._before: tuple[float, int, int] | None = None

    def update(self, progress: Progress, *, now: float) -> None:
        """`now` in steady seconds."""
        self._progress = progress
        if progress.report.phase in ("connecting", "ready"):
            return
        counts = progress.report.counts
        sent, shown = counts.sent_hot + counts.sent_small, counts.shown_hot + counts.shown_small
        if self._before is not None and now - self._before[0] >= SOONEST_S:
            seconds = now - self._before[0]
            self.sent.append((sent - self._before[1]) / seconds)
            self.shown.append((shown - self._before[2]) / seconds)
            self._before = (now, sent, shown)
        elif self._before is None:
            self._before = (now, sent, shown)

    def render(self) -> RenderableType:
        """The whole view."""
        if self._progress is None:
            return Text("starting a service", style="dim")
        report, plan = self._progress.report, self._progress.plan
        title = f"{plan.members:,} members in the hot group, {plan.connected:,} connected; {plan.groups:,} small groups"
        rows = Table.grid(expand=True)
        for _ in range(3):
            rows.add_column(ratio=1)
        rows.add_row(self._traffic(report), _check(report), _service(self._progress.metrics, report))
        return Group(Panel(Group(_bar(self._progress), rows), title=title, border_style="cyan"))

    def _traffic(self, report: Report) -> RenderableType:
        counts = report.counts
        rows = _rows(
            ("sent, hot", f"{counts.sent_hot:,}"),
            ("sent, small", f"{counts.sent_small:,}"),
            ("shown", f"{counts.shown_hot + counts.shown_small:,}"),
            ("sent/s", f"{_latest(self.sent):,.0f}"),
            ("shown/s", f"{_latest(self.shown):,.0f}"),
            ("hot p50/99", _times(report.recent_hot)),
            ("small p50/99", _times(report.recent_small)),
        )
        line = Text(sparkline(self.shown), style="green", no_wrap=True, overflow="crop")
        return _panel("messages", Group(rows, line))


def _check(report: Report) -> RenderableType:
    counts = report.counts
    rows = _rows(
        ("connected", f"{report.connected:,}"),
        ("reconnects", f"{counts.reconnects:,}"),
        ("withhold acks", f"{report.withholding:,}"),
        ("came twice", f"{counts.suppressed:,}"),
        ("missing so far", f"{report.behind:,}"),
        ("of one device", f"{report.worst_behind:,}"),
        ("shown twice", _alarm(report.twice)),
        ("out of order", _alarm(report.out_of_order)),
    )
    return _panel("devices", rows)


def _service(metrics: dict[str, float], report: Report) -> RenderableType:
    counted = [
        (label, f"{metrics.get(name, 0):,.0f}")
        for label, name in (
            ("deliveries", "deliveries_total"),
            ("redeliveries", "redeliveries_total"),
            ("acks", "acks_total"),
            ("notices", "notices_total"),
            ("pulls", "pulls_total"),
            ("stored", "appends_total"),
        )
    ]
    lag = f"{metrics.get('loop_lag_seconds', 0) * 1000:,.0f} ms"
    return _panel("service", _rows(*counted, ("loop lag", lag), ("unanswered", f"{report.unanswered:,}")))


def _bar(progress: Progress) -> RenderableType:
    plan, report = progress.plan, progress.report
    done, total = (report.connected, plan.connected) if report.phase == "connecting" else (report.at, plan.seconds)
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_row(progress.step, ProgressBar(total=total, completed=min(done, total)))
    return row


def _panel(title: str, content: RenderableType) -> RenderableType:
    return Panel(content, title=title, border_style="dim")


def _rows(*rows: tuple[str, RenderableType]) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def sparkline(values: Sequence[float]) -> str:
    """One bar for each value, the highest one full."""
    highest = max(values, default=0.0)
    if highest <= 0:
        return BARS[0] * len(values)
    return "".join(BARS[min(len(BARS) - 1, int(max(0.0, value) / highest * len(BARS)))] for value in values)


def _latest(rates: Sequence[float]) -> float:
    return rates[-1] if rates else 0.0


def _times(spread: Spread) -> str:
    return f"{spread.p50_ms:,.0f}/{spread.p99_ms:,.0f} ms" if spread.count else "-"


def _alarm(count: int) -> Text:
    return Text(f"{count:,}", style="bold red" if count else "green")
