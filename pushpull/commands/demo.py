"""`pushpull demo`: a hot group and many small ones on real sockets, live, with every delivery checked."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import click
import msgspec
from rich.console import Console
from rich.live import Live

from pushpull.client import Server
from pushpull.commands._service import Target as Named
from pushpull.commands._service import json_option, service_options
from pushpull.commands._show import show_json
from pushpull.demo.director import Progress, Target, Watch, run
from pushpull.demo.plan import Plan
from pushpull.demo.service import own_service
from pushpull.demo.summary import Summary, as_text
from pushpull.demo.view import Screen

TOKEN_MARGIN_S = 3600.0
MAX_RATE = 10_000.0


@click.command()
@click.option("--connected", type=click.IntRange(2, 100_000), default=2_000, show_default=True, help="Devices.")
@click.option("--members", type=click.IntRange(2, 100_000), default=10_000, show_default=True, help="Of the hot group.")
@click.option("--groups", type=click.IntRange(0, 10_000), default=100, show_default=True, help="Small groups of 10.")
@click.option("--seconds", type=click.FloatRange(1, 86_400), default=20.0, show_default=True, help="Of sending.")
@click.option(
    "--rate", type=click.FloatRange(0, MAX_RATE), default=3.0, show_default=True, help="Messages a second, hot group."
)
@click.option(
    "--group-rate",
    type=click.FloatRange(0, MAX_RATE),
    default=50.0,
    show_default=True,
    help="Messages a second, all small groups together.",
)
@json_option
@service_options
def command(target: Named, as_json: bool, **given: float) -> None:
    """Show the service at work, and check it: each message to each device, once and in order.

    Without --url it starts a service of its own, with a Redis and data that are gone afterwards. Some devices lose
    their connection now and then, some keep their acks back. Exit status 1 when anything is missing, shown twice or
    out of order. Ctrl-C ends the sending early, once more ends it all.
    """
    plan = msgspec.convert({"name": f"demo-{secrets.token_hex(3)}", **given}, Plan)
    if plan.members < plan.connected:
        raise click.UsageError(f"--connected {plan.connected} is more than --members {plan.members}")
    named = any(click.get_current_context().params["urls"])
    try:
        with _live(show=not as_json) as watch:
            summary = asyncio.run(_demo(target if named else None, plan, watch))
    except asyncio.CancelledError:
        raise click.Abort from None
    if as_json:
        show_json(msgspec.to_builtins(summary))
    else:
        click.echo(as_text(summary))
    if not summary.ok:
        raise click.exceptions.Exit(1)


async def _demo(named: Named | None, plan: Plan, watch: Watch) -> Summary:
    with _interruptible() as stop:
        async with _target(named, plan) as target:
            return await run(target, plan, watch=watch, stop=stop)


@asynccontextmanager
async def _target(named: Named | None, plan: Plan) -> AsyncIterator[Target]:
    ttl_s = plan.seconds + TOKEN_MARGIN_S
    if named is not None:
        with named.server() as server:
            server.nodes()  # says at once what is wrong with the address or the key
        # Its devices all live on one node: what it shows is delivery, and its clock is one.
        yield Target(named.urls[0], named.key or "", lambda uid: named.token_for(uid, ttl_s))
        return
    async with own_service() as own:
        with Server(own.url, own.api_key, jwt_secret=own.jwt_secret) as server:
            yield Target(own.url, own.api_key, lambda uid: server.token(uid, ttl_s), own)


@contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second one cancels the task that runs this."""
    loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextmanager
def _live(*, show: bool) -> Iterator[Watch]:
    """Draws what it is told on a terminal; tells nobody in a pipe."""
    console = Console()
    if not show or not console.is_terminal:
        yield lambda progress: None
        return
    screen = Screen()
    with Live(console=console, get_renderable=screen.render, refresh_per_second=4):

        def watch(progress: Progress) -> None:
            screen.update(progress, now=time.monotonic())

        yield watch
