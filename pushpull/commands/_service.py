"""How a command finds the service it talks to: flags, environment, else the one of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from pushpull.client import ConnectionEnded, Server
from pushpull.client.addresses import urls_in
from pushpull.client.backend import Unreachable
from pushpull.commands._local import config_option, local_service
from pushpull.errors import ConfigError, PushpullError, Unauthenticated

RETRY_S: Final = 2.0
"""Shorter than the client's own: a person waits, and the usual reason is that the service does not run."""
TOKEN_TTL_S: Final = 3600.0

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
url_option = click.option(
    "--url",
    "urls",
    envvar="PUSHPULL_URL",
    metavar="URL",
    multiple=True,
    help="Or PUSHPULL_URL; several nodes: again, or with commas; else the service on this machine.",
)
api_key_option = click.option(
    "--api-key", envvar="PUSHPULL_API_KEY", metavar="KEY", help="Or PUSHPULL_API_KEY; else this machine's."
)


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """The service that flags and environment name; what they leave open is looked up on this machine."""

    urls: tuple[str, ...]
    key: str | None
    config_file: str | None

    @property
    def url(self) -> str:
        """For people: one URL, or several with commas."""
        return ",".join(self.urls)

    @contextmanager
    def server(self) -> Iterator[Server]:
        """A client for the service's API; what goes wrong on the way says what to do."""
        if not self.key:
            raise click.UsageError(
                f"no API key for {self.url}: give --api-key or PUSHPULL_API_KEY (a key of another service is not sent)"
            )
        with Server(self.urls, self.key, retry_s=RETRY_S) as server:
            try:
                yield server
            except Unreachable as error:
                raise ConfigError(f"{error.message}; is the service running? (pushpull serve)") from error
            except Unauthenticated as error:
                raise ConfigError(f"{self.url} does not take this API key: {error.message}") from error

    def token_for(self, uid: str, ttl_s: float = TOKEN_TTL_S) -> str:
        """A token for `uid`, signed with this machine's secret."""
        return local_service(self.config_file).token(uid, ttl_s)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --url, --api-key and --config to a command; it gets them as one argument, `target`."""

    def with_target(*, urls: tuple[str, ...], api_key: str | None, config_file: str | None, **given: Any) -> Any:
        return command(target=_target(urls, api_key, config_file), **given)

    with_target.__doc__ = command.__doc__
    for option in (config_option, api_key_option, url_option):
        option(with_target)
    return with_target


def _target(given: tuple[str, ...], api_key: str | None, config_file: str | None) -> Target:
    urls = urls_in(",".join(given)) if any(given) else ()
    if urls and api_key:
        return Target(urls, api_key, config_file)
    local = local_service(config_file)
    # This machine's key goes to this machine's service and nowhere else.
    key = api_key or (local.api_key if set(urls) <= {local.url} else None)
    return Target(urls or (local.url,), key, config_file)


def lost(error: ConnectionEnded, url: str) -> PushpullError:
    """What the end of a chat means on a command line."""
    if error.close_code == 0:
        return ConfigError(f"{url}: {error.message}; is the service running? (pushpull serve)")
    return error
