"""What deploy/ holds, read as its users' programs read it."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pushpull.settings import Settings, open_files

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

AFTER_DRAIN_S = 20.0
"""What a stop may take beside server.drain_s: docs/operations.md, "Stopping it"."""


def stop_s(settings: Settings | None = None) -> float:
    """How long whoever stops a node has to wait before it kills it."""
    return (settings or Settings()).server.drain_s + AFTER_DRAIN_S


def files_needed(settings: Settings | None = None) -> int:
    """How many files a node has to be allowed."""
    return open_files((settings or Settings()).limits)


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def seconds(text: str) -> float:
    """ "45s", "2m"."""
    match = re.fullmatch(r"(\d+)(s|m)", text)
    assert match is not None, f"{text!r} is not a number of seconds or minutes"
    return float(match[1]) * {"s": 1, "m": 60}[match[2]]


def made_secrets(directory: Path) -> Path:
    """The folder of secrets that deploy/make-secrets makes, in a copy of it under `directory`."""
    script = directory / "make-secrets"
    shutil.copy(DEPLOY / "make-secrets", script)
    subprocess.run([str(script)], check=True, stdin=subprocess.DEVNULL)
    return directory / "secrets"
