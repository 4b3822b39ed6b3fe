"""The keys a service makes for itself on its embedded Redis, so that a newcomer needs none.

Made once, kept in the data directory in files only their owner can read, and read from there by the command line on
the same machine. A Redis that was named is shared, and keys made by one of its nodes would be unknown to the others:
there, none set is an error.
"""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from pushpull.config import Origins
from pushpull.contradictions import contradictions
from pushpull.errors import ConfigError
from pushpull.settings import Settings

logger = logging.getLogger(__name__)

JWT_SECRET_FILE: Final = "jwt_secret"  # noqa: S105 - a file name
API_KEY_FILE: Final = "api_key"


@dataclass(frozen=True, slots=True, repr=False)
class LocalKeys:
    """What a data directory holds; "" where it holds none."""

    jwt_secret: str
    api_key: str


def found(data_dir: str | Path) -> LocalKeys:
    """The keys that a service made in `data_dir`; empty ones where there are none or they are not ours to read."""
    return LocalKeys(_read(Path(data_dir) / JWT_SECRET_FILE), _read(Path(data_dir) / API_KEY_FILE))


def with_local_keys(settings: Settings, origins: Origins, *, make: bool) -> tuple[Settings, Origins]:
    """`settings` with the data directory's keys in the places where they name none, on the embedded default.

    `make`: make those that are missing (the service), else leave them out (whoever only looks). The directory must
    exist then. Raises ConfigError where no token could be verified: no key is set and Redis is a named one.
    """
    auth = settings.auth
    verifies = bool(auth.jwt_secret or auth.public_keys or auth.jwks_url)
    if settings.redis.url:
        if make and not verifies:
            raise ConfigError(
                "redis.url is set and nothing to verify tokens with; "
                "expected one of auth.jwt_secret, auth.public_keys or auth.jwks_url, and auth.api_keys for your backend"
            )
        return settings, origins
    directory = Path(settings.server.data_dir)
    origins = dict(origins)
    if not verifies and (secret := _kept(directory / JWT_SECRET_FILE, make=make)):
        auth = msgspec.structs.replace(auth, jwt_secret=(secret,))
        origins["auth.jwt_secret"] = f"made once, kept in {directory / JWT_SECRET_FILE}"
    if not auth.api_keys and (key := _kept(directory / API_KEY_FILE, make=make)):
        auth = msgspec.structs.replace(auth, api_keys=(key,))
        origins["auth.api_keys"] = f"made once, kept in {directory / API_KEY_FILE}"
    settings = msgspec.structs.replace(settings, auth=auth)
    for names, problem in contradictions(settings):
        raise ConfigError(f"{origins[names[0]]}: {problem}")
    return settings, origins


def _kept(path: Path, *, make: bool) -> str:
    value = _read(path)
    if value or not make:
        return value
    # Whole or not at all: a crash must not leave half a key, nor may two makers end with different ones.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(36) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as problem:
        raise ConfigError(f"{path} cannot be made: {problem.strerror}") from problem
    return _read(path)


def _read(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            logger.warning("%s can be read by others than its owner; expected mode 600", path)
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
