"""Reckon, then print: cores, bytes and commands of each rule, with the assumptions beside them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pushpull.delivery.costs import KINDS, Prices
from pushpull.settings import Delivery
from scripts.simulating.picture import draw
from scripts.simulating.population import Assumptions, Kind, SizeClass, kinds
from scripts.simulating.reckoning import MICRO, RULES, Rates, Total, add

PRICES: Final = Path(__file__).parent.parent.parent / "bench" / "tune.json"
MEGA: Final = 1e6


class Tuned(msgspec.Struct):
    """Of what `pushpull tune --json` writes, what is needed here."""

    prices: Prices
    commands: Prices
    sent_bytes: Prices


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description="Reckon what ways of delivery cost.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture there")
    parser.add_argument("--prices", type=Path, default=PRICES, metavar="FILE", help="of `pushpull tune --json`")
    defaults = Assumptions()
    for each in fields(Assumptions):
        value = getattr(defaults, each.name)
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=type(value), default=value, metavar="N")
    options = vars(parser.parse_args())
    assumptions = replace(defaults, **{each.name: options[each.name] for each in fields(Assumptions)})
    try:
        tuned = msgspec.json.decode(options["prices"].read_bytes(), type=Tuned)
    except (OSError, msgspec.MsgspecError) as problem:
        print(f"error: {options['prices']}: {problem}; expected what `pushpull tune --json` writes", file=sys.stderr)
        return 1
    cpu = replace(tuned.prices, sends=assumptions.stored_us * MICRO, flushes=assumptions.flush_us * MICRO)
    rates = Rates(cpu, tuned.commands, tuned.sent_bytes)
    totals, memberships = reckoned(assumptions, rates)
    if options["plot"]:
        draw(totals, options["plot"])
    if options["json"]:
        print(json.dumps(document(assumptions, rates, totals), indent=2))
    else:
        print("\n".join(lines(assumptions, totals, memberships)))
    return 0


def reckoned(assumptions: Assumptions, rates: Rates) -> tuple[dict[str, Total], dict[str, float]]:
    """The totals of each rule, and what there is in all: conversations, messages a second, connected users."""
    settings = Delivery()
    totals = {name: Total() for name in RULES}
    there = {"conversations": 0.0, "messages a second": 0.0, "of more than 1,000": 0.0}
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        for each, of in progress.track(list(kinds(assumptions)), description="conversations by size"):
            count_in(there, each, of)
            for name, rule in RULES.items():
                totals[name].by_size[each.last] = add(totals[name], rule, of, rates, assumptions, settings)
    return totals, there


def count_in(there: dict[str, float], each: SizeClass, of: list[Kind]) -> None:
    there["conversations"] += sum(kind.count for kind in of)
    there["messages a second"] += sum(kind.count * kind.rate for kind in of)
    if each.first > 1_000:
        there["of more than 1,000"] += sum(kind.count for kind in of)


def lines(assumptions: Assumptions, totals: dict[str, Total], there: dict[str, float]) -> list[str]:
    """Assumptions, then a table."""
    said = [f"{name} {value:g}" for name, value in asdict(assumptions).items()]
    rows = ["assumed: " + ", ".join(said), "so there are: " + ", ".join(f"{v:,.0f} {k}" for k, v in there.items()), ""]
    rows.append(
        f"{'':<16}{'cores':>9}{'a node':>8}{'MB/s':>9}{'redis commands/s':>18}{'frames/s':>11}{'notices/s':>11}"
    )
    for name, total in totals.items():
        rows.append(
            f"{name:<16}{total.cores:9.1f}{total.cores / assumptions.nodes:8.2f}{total.sent_bytes / MEGA:9.1f}"
            f"{total.redis_commands:18,.0f}{total.work.frames:11,.0f}{total.work.notices:11,.0f}"
        )
    return rows


def document(assumptions: Assumptions, rates: Rates, totals: dict[str, Total]) -> dict[str, Any]:
    return {
        "assumptions": asdict(assumptions),
        "prices": {name: {kind: getattr(prices, kind) for kind in KINDS} for name, prices in asdict_rates(rates)},
        "totals": {name: asdict(total) for name, total in totals.items()},
    }


def asdict_rates(rates: Rates) -> list[tuple[str, Prices]]:
    return [("cpu_s", rates.cpu), ("redis_commands", rates.commands), ("sent_bytes", rates.sent_bytes)]


if __name__ == "__main__":
    sys.exit(main())
