"""The settings a command runs with, and the service they describe on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
import jwt

from pushpull.config import Origins, load
from pushpull.contradictions import HMAC_BYTES
from pushpull.errors import ConfigError
from pushpull.local_keys import with_local_keys
from pushpull.model import check_uid
from pushpull.settings import Settings

config_option = click.option(
    "--config",
    "config_file",
    envvar="PUSHPULL_CONFIG",
    metavar="FILE",
    help="Settings in TOML; see config/pushpull.toml. Or PUSHPULL_CONFIG.",
)

WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where one listens, not we


def settings_in_force(config_file: str | None, flags: Mapping[str, Any] | None = None) -> tuple[Settings, Origins]:
    """File, environment and flags, with the keys of the data directory where a service made some. Makes nothing."""
    settings, origins = load(config_file, os.environ, flags)
    return with_local_keys(settings, origins, make=False)


@dataclass(frozen=True, slots=True, repr=False)
class LocalService:
    """How to talk to the service that these settings describe, from the same machine."""

    settings: Settings

    @property
    def url(self) -> str:
        server = self.settings.server
        host = WILDCARD_HOSTS.get(server.host, server.host)
        return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"

    @property
    def api_key(self) -> str | None:
        """A key its API takes, None where none is known here."""
        return next(iter(self.settings.auth.api_keys), None)

    def token(self, uid: str, ttl_s: float) -> str:
        """A token for `uid`, good for `ttl_s` seconds from now.

        Raises Invalid for what is no uid, ConfigError where no signing secret is known here.
        """
        auth = self.settings.auth
        algorithm = next((name for name in auth.jwt_algorithms if name in HMAC_BYTES), None)
        if not auth.jwt_secret or algorithm is None:
            raise ConfigError(
                f"no secret to sign a token with in {self.settings.server.data_dir}; "
                "start the service there first (pushpull serve), or set auth.jwt_secret as the service has it"
            )
        now = int(time.time())
        claims: dict[str, Any] = {"sub": check_uid(uid), "iat": now, "exp": now + int(ttl_s)}
        if auth.audience:
            claims["aud"] = auth.audience
        if auth.issuer:
            claims["iss"] = auth.issuer
        return jwt.encode(claims, auth.jwt_secret[0], algorithm=algorithm)


def local_service(config_file: str | None = None) -> LocalService:
    """The service of the settings in force. Raises ConfigError when they are wrong."""
    return LocalService(settings_in_force(config_file)[0])
