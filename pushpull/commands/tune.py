"""`pushpull tune`: what push and notify cost on this machine, where they cross, and the settings that follow."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from pushpull.bench import plots as bench_plots
from pushpull.commands._local import config_option, settings_in_force
from pushpull.commands._measuring import measured, progress
from pushpull.delivery.costs import Habits
from pushpull.tune import plots as pictures
from pushpull.tune.advice import Wishes
from pushpull.tune.crossover import Talk
from pushpull.tune.report import as_text
from pushpull.tune.run import run
from pushpull.tune.sweep import FULL, QUICK
from pushpull.tune.write import write as write_settings

HOUR_S = 3600.0


@click.command()
@click.option("--quick", is_flag=True, help="Under two minutes, fewer spots.")
@click.option("--runs", type=click.IntRange(1, 20), default=1, show_default=True, help="Of each; medians are shown.")
@click.option(
    "--talk",
    type=click.FloatRange(min=0.001),
    default=4.0,
    show_default=True,
    metavar="N",
    help="Messages that a connected member writes in an hour.",
)
@click.option(
    "--viewers",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Of connected members, those who have the conversation on screen.",
)
@click.option(
    "--late-ms",
    type=click.FloatRange(min=50),
    default=500.0,
    show_default=True,
    metavar="MS",
    help="How late a message may reach who looks, in 99 of 100 cases.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path), help="Draw pictures into this directory.")
@click.option(
    "--write",
    "write_to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put the advised settings into this file; the rest of it stays as it is.",
)
@config_option
def command(
    *,
    quick: bool,
    runs: int,
    json_file: Path | None,
    plots: Path | None,
    write_to: Path | None,
    config_file: str | None,
    **known: float,
) -> None:
    """Measure push and notify through a real service on this machine, and say which settings follow.

    Takes some minutes and all cores; nothing else should run. A service of its own is started and gone afterwards: a
    running one is not touched. Exit status 1 when something was lost or refused; nothing is written then.
    """
    if plots is not None:
        bench_plots.require()
    settings = settings_in_force(config_file)[0].delivery
    talk = Talk(known["talk"] / HOUR_S, Habits(viewers=known["viewers"]))
    with progress() as watch:
        report = measured(
            run(QUICK if quick else FULL, settings, Wishes(talk, known["late_ms"]), runs=runs, watch=watch)
        )
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    click.echo(as_text(report))
    if plots is not None:
        for path in pictures.draw(report, plots):
            click.echo(f"drawn: {path}", err=True)
    if report.wrong:
        raise click.exceptions.Exit(1)
    if write_to is not None:
        write_settings(write_to, {row.key: row.advised for row in report.advised})
        click.echo(f"written: {write_to}", err=True)
