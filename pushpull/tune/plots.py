"""The two pictures of a tune report. Needs matplotlib, the extra `bench`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from pushpull.bench.audience import Way
from pushpull.bench.plots import DPI
from pushpull.delivery.costs import Habits
from pushpull.tune.crossover import crossing
from pushpull.tune.outcomes import Crowd, Rule, always_notify, always_push, by_policy, cost_per_s
from pushpull.tune.regret import compared, mean_regret, policy_regrets
from pushpull.tune.report import CLOSE, MICRO, thresholds
from pushpull.tune.run import Report

SHOWN: Final[dict[Way, tuple[Rule, str]]] = {
    "push": (always_push, "#33658a"),
    "notify": (always_notify, "#c8553d"),
    "policy": (by_policy, "#2a7f62"),
}
COLOURS: Final = {way: colour for way, (_, colour) in SHOWN.items()}
STEPS: Final = 120


def draw(report: Report, directory: Path) -> list[Path]:
    """Write crossover.png and regret.png into `directory`, made if need be; their paths."""
    import matplotlib

    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    sizes, shares = report.scale.sizes, report.scale.viewers
    figure, panels = pyplot.subplots(
        *(len(sizes), len(shares)),
        figsize=(3.6 * len(shares), 2.7 * len(sizes)),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for size, row in zip(sizes, panels, strict=True):
        for viewers, axes in zip(shares, row, strict=True):
            _crossover(axes, report, size, viewers)
    figure.supxlabel("messages a second in a group (log)", fontsize=9)
    figure.supylabel("server CPU, µs for each member and second (log)", fontsize=9)
    panels[0][0].legend(fontsize=7)
    drawn = [directory / "crossover.png"]
    figure.savefig(drawn[-1], dpi=DPI)
    pyplot.close(figure)
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    _regret(axes, report)
    drawn.append(directory / "regret.png")
    figure.savefig(drawn[-1], dpi=DPI)
    pyplot.close(figure)
    return drawn


def _crossover(axes: Any, report: Report, size: int, viewers: float) -> None:
    """Measured points over the model's curves, for one size and share of lookers; a line where two of them cross."""
    habits = Habits(viewers=viewers, visit_s=math.inf)
    low, high = min(report.scale.rates) / 2, max(report.scale.rates) * 2
    rates = [low * (high / low) ** (step / STEPS) for step in range(STEPS + 1)]
    for way, (rule, colour) in SHOWN.items():
        crowds = [Crowd(size, rate, habits) for rate in rates]
        curve = [cost_per_s([crowd], rule, report.prices, report.settings) / size * MICRO for crowd in crowds]
        axes.plot(rates, curve, color=colour, linewidth=1)
        shown = [p for p in report.points if (p.spot.size, p.spot.viewers, p.way) == (size, viewers, way)]
        axes.plot([p.spot.rate for p in shown], [p.per_member_s * MICRO for p in shown], "o", color=colour, label=way)
    cross = crossing(report.prices, habits, interval_s=report.settings.notify_interval_ms / 1000)
    if cross is not None and low < cross < high:
        axes.axvline(cross, color="black", linewidth=0.8)
        axes.annotate(f" {cross:.2g}/s", (cross, 0.02), xycoords=("data", "axes fraction"), fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.set_title(f"groups of {size}, {viewers:.0%} look", fontsize=8)
    axes.tick_params(labelsize=7)


def _regret(axes: Any, report: Report) -> None:
    """What a fixed threshold costs above the better way, on average and at its worst spot; and the policy."""
    rows = compared(report.points)
    choices = thresholds(rows)
    labels = ["nobody"] + [f"up to {choice}" for choice in choices[1:]]
    means = [mean_regret(rows, choice) * 100 for choice in choices]
    worst = [max(row.regret_of(choice) for row in rows) * 100 for choice in choices]
    axes.plot(labels, means, "o-", color=COLOURS["push"], label="fixed threshold, on average")
    axes.plot(labels, worst, "o--", color=COLOURS["notify"], label="fixed threshold, worst spot")
    regrets = policy_regrets(rows)
    if regrets:
        mean = sum(regrets) / len(regrets) * 100
        axes.axhline(mean, color=COLOURS["policy"], label="policy, on average")
        axes.axhline(max(regrets) * 100, color=COLOURS["policy"], linestyle="--", label="policy, worst spot")
    axes.axhline(CLOSE * 100, color="black", linewidth=0.6)
    axes.set_xlabel("pushed to: groups of so many members")
    axes.set_ylabel("server CPU above the better of push and notify, %")
    axes.legend(fontsize=8)
