"""What a service was started with, so that it can be read again: the file's name and the flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pushpull.config import load

if TYPE_CHECKING:
    from pushpull.web.reloading import Source


class Given(msgspec.Struct, frozen=True):
    """`flags` maps `section.key` to a value, None: not given. The environment is the process's own."""

    config_file: str | None
    flags: dict[str, Any]

    def source(self) -> Source:
        """Where the settings come from."""
        from pushpull.web.reloading import Source  # all of the web stack hangs on it, and a supervisor needs none

        file = None if self.config_file is None else Path(self.config_file).absolute()
        return Source(lambda: load(self.config_file, os.environ, self.flags), file)
