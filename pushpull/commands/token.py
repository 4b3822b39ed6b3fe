"""`pushpull token UID`: a token for a user, signed with the secret of the service on this machine."""

from __future__ import annotations

import click

from pushpull.commands._local import config_option, local_service

DAY_S = 86_400


@click.command()
@click.argument("uid")
@click.option(
    "--ttl",
    type=click.IntRange(1),
    default=DAY_S,
    show_default=True,
    metavar="SECONDS",
    help="How long it is good for.",
)
@config_option
def command(uid: str, ttl: int, config_file: str | None) -> None:
    """Print a token for the user UID and nothing else.

    It is signed with auth.jwt_secret, or with the secret that a service with an embedded Redis made in its data_dir.
    """
    click.echo(local_service(config_file).token(uid, ttl))
