"""Writing advised settings into a settings file: those keys, and nothing else of it.

tomlkit keeps comments, order and spacing of what it does not touch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import tomlkit
import tomlkit.exceptions

from pushpull.config import load
from pushpull.errors import ConfigError


def write(path: Path, values: Mapping[str, float], *, section: str = "delivery") -> None:
    """Set `section.key` to each value in the TOML file at `path`, which is made if need be.

    It is replaced whole or not at all, and only by a file that the service would take. Raises ConfigError when it is
    no TOML, or not settings.
    """
    try:
        document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    except tomlkit.exceptions.ParseError as problem:
        raise ConfigError(f"{path} is not TOML: {problem}") from None
    table = document.setdefault(section, tomlkit.table())
    if not isinstance(table, MutableMapping):
        raise ConfigError(f"{path}: {section} is no table; expected [{section}]")
    table.update(values)
    _replace(path, tomlkit.dumps(document))


def _replace(path: Path, text: str) -> None:
    path = path.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    made = Path(name)
    try:
        with os.fdopen(handle, "w") as output:
            output.write(text)
        if path.exists():
            made.chmod(path.stat().st_mode)
        load(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
