"""The plot: which conversations cost what, by rule."""

from __future__ import annotations

from pathlib import Path

from scripts.simulating.reckoning import Total

COLOURS = {"always push": "#33658a", "always notify": "#c8553d", "size threshold": "#bbbbbb", "policy": "#2a7f62"}


def draw(totals: dict[str, Total], path: Path) -> None:
    """Write it to `path`."""
    import matplotlib

    matplotlib.use("Agg")  # no display
    from matplotlib import pyplot

    figure, (by_size, in_all) = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(3, 2))
    for name, total in totals.items():
        sizes, so_far, sums = sorted(total.by_size), 0.0, []
        for size in sizes:
            so_far += total.by_size[size]
            sums.append(so_far)
        by_size.plot(sizes, sums, color=COLOURS[name], label=name)
    by_size.set_xscale("log")
    by_size.set_xlabel("conversations of up to so many members (log)")
    by_size.set_ylabel("cores for all of them together")
    by_size.legend(fontsize=8)
    in_all.barh(list(totals), [total.cores for total in totals.values()], color=[COLOURS[name] for name in totals])
    in_all.invert_yaxis()
    in_all.set_xlabel("cores in all")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
