"""The settings file of a running service: read again when it changes and on SIGHUP.

What delivery makes of it is in force at once; what has changed elsewhere is named in the log, for it needs a restart. A
file that is wrong changes nothing. The directory is watched and not the file, for editors and Kubernetes put another
file in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import watchfiles

from pushpull.errors import PushpullError
from pushpull.node.policy import Policy
from pushpull.settings import Settings

log = logging.getLogger(__name__)

STEP_MS: Final = 50
DEBOUNCE_MS: Final = 400
"""For how long changes are gathered while they go on: a directory in which much happens must not hold this up."""
POLL_MS: Final = 2_000
"""The file is looked at so often in any case: some file systems tell nobody, and nobody is told before it watches."""

Load = Callable[[], tuple[Settings, Mapping[str, str]]]
"""Reads file, environment and flags; raises ConfigError."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from. `file` None: there is none to watch."""

    load: Load
    file: Path | None


class Reloading:
    """Of one process. `run` it for as long as it serves."""

    def __init__(self, source: Source, policy: Policy) -> None:
        self._source = source
        self._policy = policy
        self._known: Settings | None = None  # as last read
        self._text: bytes | None = None
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        self._known = self._read()
        self._text = self._content()
        with self._signal():
            watching = asyncio.create_task(self._watch(), name="settings file")
            try:
                while True:
                    await self._asked.wait()
                    self._asked.clear()
                    self.reload()
            finally:
                watching.cancel()
                await asyncio.wait([watching])

    def reload(self) -> None:
        """Read everything again and take what can be taken."""
        settings = self._read()
        if settings is None:
            return
        if self._known is not None:
            changed = _changed_elsewhere(self._known, settings)
            if changed:
                log.warning("settings that need a restart have changed: %s", ", ".join(changed))
        self._known = settings

    def _read(self) -> Settings | None:
        try:
            settings, origins = self._source.load()
            changed = self._policy.rebase(settings.delivery, origins)
        except PushpullError as problem:
            log.error("settings were not taken, those before stay in force: %s", problem.message)
            return None
        if changed and self._known is not None:
            log.info("delivery settings changed: %s", ", ".join(changed))
        return settings

    async def _watch(self) -> None:
        if self._source.file is None:
            return
        directory = self._source.file.parent
        try:
            async for _ in self._stirs(directory):
                text = self._content()
                if text is not None and text != self._text:
                    self._text = text
                    self._asked.set()
        except (OSError, RuntimeError) as problem:
            log.warning("%s is not watched (%s): SIGHUP has it read again", directory, type(problem).__name__)

    def _stirs(self, directory: Path) -> AsyncGenerator[object, None]:
        """Something changed in the directory, or POLL_MS have passed."""
        return watchfiles.awatch(
            directory,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=POLL_MS,
            yield_on_timeout=True,
            recursive=False,
        )

    def _content(self) -> bytes | None:
        """What the file holds; None while it is not there, as in the moment before another one takes its place."""
        try:
            return None if self._source.file is None else self._source.file.read_bytes()
        except OSError:
            return None

    @contextlib.contextmanager
    def _signal(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        before = signal.getsignal(signal.SIGHUP)
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, before)


def _changed_elsewhere(before: Settings, after: Settings) -> list[str]:
    """The keys outside of delivery that differ; names only, for some are secrets."""
    return [
        f"{section.name}.{key}"
        for section in msgspec.structs.fields(Settings)
        if section.name != "delivery"
        for key in getattr(before, section.name).__struct_fields__
        if getattr(getattr(before, section.name), key) != getattr(getattr(after, section.name), key)
    ]
