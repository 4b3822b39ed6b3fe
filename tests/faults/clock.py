"""A clock of one process that can be turned back and forward while it runs: libfaketime, before the system's own.

Only the time of day moves. What measures durations (monotonic clocks) goes on as it was, as when NTP or an operator
sets the clock of a machine.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path


class Clock:
    """Its setting is in `file`. Give `environ` to the process that is to live by it. RuntimeError: see `missing`."""

    def __init__(self, file: Path) -> None:
        library = _library()
        if library is None:
            raise RuntimeError(missing())
        self._file = file
        self.environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",  # a change holds from the next look at the clock on
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let it be so far ahead of the true time; below 0: behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self._file)


def missing() -> str | None:
    """Why there are no such clocks here; None: there are."""
    if not sys.platform.startswith("linux"):
        return "clocks can be turned on Linux only"
    return None if _library() else "libfaketime is not installed"


@cache
def _library() -> Path | None:
    """The shared object in the package of that name, which itself is not imported: it would patch this process."""
    spec = find_spec("libfaketime")
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    found = [path for place in places for path in Path(place).glob("vendor/libfaketime/src/libfaketime.so.*")]
    return found[0] if found else None
