"""`pushpull bench`: what deliveries, sends, pages and connections cost on this machine, beside their targets."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from pushpull.bench import plots as pictures
from pushpull.bench.report import as_text
from pushpull.bench.run import run
from pushpull.bench.scale import FULL, QUICK
from pushpull.bench.workloads import WORKLOADS
from pushpull.commands._measuring import measured, progress


@click.command()
@click.option("--quick", "scale", flag_value="quick", default="quick", help="Under two minutes in all (the default).")
@click.option("--full", "scale", flag_value="full", help="At the size of the targets, medians of three.")
@click.option("--only", multiple=True, metavar="NAME", type=click.Choice(list(WORKLOADS)), help="May be given again.")
@click.option("--runs", type=click.IntRange(1, 20), help="Of each workload; their median is shown.")
@click.option("--all", "everything", is_flag=True, help="Also figures without a target.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw pictures into this directory.")
def command(
    scale: str, only: tuple[str, ...], runs: int | None, everything: bool, json_file: Path | None, plots: Path | None
) -> None:
    """Measure this machine: each workload on a service and a Redis of its own, which are gone afterwards.

    Workloads: fan-out, hot group, mixed viewers, slow readers, compression, small groups, send, batch send, reconnect
    storm, pull, memory, write amplification, offline.
    Exit status 1 when counts do not add up; a target that is missed is a result.
    """
    if plots is not None:
        pictures.require()
    size = FULL if scale == "full" else QUICK
    names = list(dict.fromkeys(only)) or list(WORKLOADS)
    with progress() as watch:
        report = measured(run(size, names, runs=runs or size.runs, watch=watch))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    click.echo(as_text(report, everything=everything))
    if plots is not None:
        for path in pictures.draw(report, plots):
            click.echo(f"drawn: {path}", err=True)
    if report.wrong:
        raise click.exceptions.Exit(1)
