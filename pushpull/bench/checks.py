"""Whether what was counted adds up: a workload that lost something has measured something else."""

from __future__ import annotations

from pushpull.bench.sums import Posted, Pulled, Totals


def wrong_deliveries(what: str, totals: Totals, expected: int) -> list[str]:
    """What is wrong with deliveries that should be so many, each of them timed."""
    wrong = troubles(what, totals)
    if totals.items != expected:
        wrong.append(f"{what}: {totals.items} messages arrived at devices, expected {expected}")
    timed = totals.delivery.ticks.total()
    if timed != totals.items:
        wrong.append(f"{what}: {timed} deliveries were timed, expected {totals.items}")
    return wrong


def wrong_answers(what: str, totals: Totals, sent: int) -> list[str]:
    """What is wrong with sends that should all have been answered."""
    wrong = troubles(what, totals)
    if totals.sent != sent:
        wrong.append(f"{what}: {totals.sent} sends were confirmed, expected {sent}")
    return wrong


def wrong_posts(what: str, posted: Posted, batch: int) -> list[str]:
    """What is wrong with posts of `batch` messages each."""
    if posted.refused or posted.stored != posted.calls * batch:
        return [f"{what}: {posted.stored} messages were stored, expected {posted.calls * batch}"]
    return []


def wrong_pages(what: str, pulled: Pulled) -> list[str]:
    """What is wrong with pages that should all be whole."""
    wrong = [] if pulled.pages else [f"{what}: no page came"]
    if pulled.short:
        wrong.append(f"{what}: {pulled.short} of {pulled.pages} pages held another number of messages than asked for")
    return wrong


def troubles(what: str, totals: Totals) -> list[str]:
    """Errors that devices were told of, and connections that ended."""
    wrong = [f"{what}: {count} × {error}" for error, count in totals.errors.items()]
    if totals.lost:
        wrong.append(f"{what}: {totals.lost} devices lost their connection")
    return wrong
