"""The two pictures of a tune report. Needs matplotlib, the extra `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pushpull.bench.audience import Way
from pushpull.bench.plots import DPI
from pushpull.delivery.costs import Habits, Work, notify, push, shared
from pushpull.settings import Delivery
from pushpull.tune.crossover import crossing
from pushpull.tune.regret import compared, mean_regret, policy_regrets
from pushpull.tune.report import CLOSE, MICRO, thresholds
from pushpull.tune.run import Report

COLOURS: Final[dict[Way, str]] = {"push": "#33658a", "notify": "#c8553d", "policy": "#2a7f62"}
LINES: Final[dict[Way, str]] = {"push": "-", "notify": "--"}
MARKS: Final = "os^Dv"
STEPS: Final = 120


def draw(report: Report, directory: Path) -> list[Path]:
    """Write crossover.png and regret.png into `directory`, made if need be; their paths."""
    import matplotlib

    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    shares = report.scale.viewers
    figure, panels = pyplot.subplots(
        1, len(shares), figsize=(4.2 * len(shares), 4.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, viewers in zip(panels[0], shares, strict=True):
        _crossover(axes, report, viewers)
    panels[0][0].set_ylabel("server CPU, µs for each member and second (log)")
    panels[0][-1].legend(fontsize=7)
    drawn = [directory / "crossover.png"]
    figure.savefig(drawn[-1], dpi=DPI)
    pyplot.close(figure)
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    _regret(axes, report)
    drawn.append(directory / "regret.png")
    figure.savefig(drawn[-1], dpi=DPI)
    pyplot.close(figure)
    return drawn


def _crossover(axes: Any, report: Report, viewers: float) -> None:
    """Measured points over the model's curves, for one share of lookers; a line where the curves cross."""
    habits = Habits(viewers=viewers, visit_s=float("inf"))
    sizes, interval_s = report.scale.sizes, Delivery().notify_interval_ms / 1000
    low, high = min(report.scale.rates) / 2, max(report.scale.rates) * 2
    rates = [low * (high / low) ** (step / STEPS) for step in range(STEPS + 1)]

    def curve(size: int, way: Way) -> list[float]:
        def work(rate: float) -> Work:
            served = push(rate, habits) if way == "push" else notify(rate, habits, interval_s=interval_s)
            return served + shared(served, rate=rate, members=size, habits=habits)

        return [report.prices.of(work(rate)) * MICRO for rate in rates]

    for size, mark in zip(sizes, MARKS, strict=False):
        for way, style in LINES.items():
            axes.plot(rates, curve(size, way), style, color=COLOURS[way], linewidth=1, alpha=0.6)
        for way, colour in COLOURS.items():
            shown = [p for p in report.points if (p.spot.size, p.spot.viewers, p.way) == (size, viewers, way)]
            x, y = [p.spot.rate for p in shown], [p.per_member_s * MICRO for p in shown]
            axes.plot(x, y, mark, color=colour, markersize=5, label=f"{way}, groups of {size}")
    cross = crossing(report.prices, habits, interval_s=interval_s)
    if cross is not None and low < cross < high:
        axes.axvline(cross, color="black", linewidth=0.8)
        axes.annotate(f" {cross:.2g}/s", (cross, axes.get_ylim()[1]), fontsize=7, va="top")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("messages a second in a group (log)")
    axes.set_title(f"{viewers:.0%} look", fontsize=9)


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
