"""A report as pictures. Needs matplotlib, the extra `bench`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

from pushpull.bench.figures import Figure
from pushpull.bench.run import Report
from pushpull.errors import ConfigError

MET, MISSED, PLAIN, OTHER = "#2a7f62", "#c8553d", "#33658a", "#bbbbbb"
DPI: Final = 120
ROW_INCHES: Final = 0.16
"""For a target's bar and its name beside it."""


def require() -> None:
    """Raises ConfigError without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("plots need matplotlib (pip install 'pushpull[bench]')")


def draw(report: Report, directory: Path) -> list[Path]:
    """Write the pictures into `directory`, made if need be; their paths. Raises ConfigError without matplotlib."""
    require()
    import matplotlib

    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, draw_one in (("targets", _targets), ("cpu", _cpu), ("latency", _latency), ("amplification", _lines)):
        figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
        if draw_one(axes, report):
            drawn.append(directory / f"{name}.png")
            figure.savefig(drawn[-1], dpi=DPI)
        pyplot.close(figure)
    return drawn


def _all(report: Report) -> list[tuple[str, Figure]]:
    return [(result.workload, figure) for result in report.results for figure in result.figures]


def _targets(axes: Any, report: Report) -> bool:
    """Each target as a bar: 1 is the line between met and missed, further right is better."""
    rows = []
    for workload, figure in _all(report):
        ratio, limit = figure.ratio, figure.at_most if figure.at_most is not None else figure.at_least
        if figure.ok is None or not ratio or limit is None:
            continue
        met = ratio / limit if figure.floor is not None else ratio
        rows.append((f"{workload}: {figure.name}", 1 / met if figure.at_most is not None else met, figure.ok))
    if not rows:
        return False
    rows.reverse()
    axes.figure.set_size_inches(9, max(5.0, ROW_INCHES * len(rows)))
    axes.barh([row[0] for row in rows], [row[1] for row in rows], color=[MET if row[2] else MISSED for row in rows])
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("times better than its target (log)")
    axes.tick_params(axis="y", labelsize=7)
    return True


def _cpu(axes: Any, report: Report) -> bool:
    """Processor time of service and Redis for each thing that is done."""
    prefix = "server CPU per "
    found = {(workload, figure.name): figure.value for workload, figure in _all(report)}
    units = [(w, name.removeprefix(prefix)) for w, name in found if name.startswith(prefix)]
    units = [(w, unit) for w, unit in units if (w, f"redis CPU per {unit}") in found and found[w, prefix + unit]]
    if not units:
        return False
    units.reverse()
    labels = [f"{workload}: {unit}" for workload, unit in units]
    server = [found[workload, prefix + unit] for workload, unit in units]
    redis = [found[workload, f"redis CPU per {unit}"] for workload, unit in units]
    axes.barh(labels, server, color=PLAIN, label="service")
    axes.barh(labels, redis, left=server, color=OTHER, label="Redis")
    axes.set_xscale("log")
    axes.set_xlabel("µs of processor time (log)")
    axes.tick_params(axis="y", labelsize=7)
    axes.legend()
    return True


def _latency(axes: Any, report: Report) -> bool:
    """p50 to p99, with the maximum as a dot."""
    found = {(workload, figure.name): figure.value or 0.0 for workload, figure in _all(report)}
    names = [(workload, name.removesuffix(" p99")) for workload, name in found if name.endswith(" p99")]
    names = [key for key in names if f"{key[1]} p50" in {name for _, name in found}]
    if not names:
        return False
    names.reverse()
    for place, (workload, name) in enumerate(names):
        p50, p99 = found[workload, f"{name} p50"], found[workload, f"{name} p99"]
        axes.plot([p50, p99], [place, place], color=PLAIN, linewidth=4, solid_capstyle="butt")
        if (longest := found.get((workload, f"{name} max"))) is not None:  # not every workload tells it
            axes.plot([longest], [place], "o", color=OTHER)
    axes.set_yticks(range(len(names)), [f"{workload}: {name}".rstrip(",") for workload, name in names])
    axes.set_xscale("log")
    axes.set_xlabel("ms: p50 to p99, dot: max (log)")
    axes.tick_params(axis="y", labelsize=7)
    return True


def _lines(axes: Any, report: Report) -> bool:
    """One log beside one inbox per member."""
    series = {name: line for result in report.results for name, line in result.runs[0].series.items()}
    for name, line in series.items():
        style = "-" if name.startswith("one log") else "--"
        axes.plot([x for x, _ in line], [y for _, y in line], style, marker="o", label=f"{name} a message")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("members (log)")
    if series:
        axes.legend()
    return bool(series)
