"""An earlier release of pushpull, taken out of the history, for nodes to run while others run this one.

Both run on the same Python and the same libraries; what differs is the package. A node of the earlier one has its
directory in PYTHONPATH, before the place where this one is installed.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

BEFORE = "6e1eb74"
"""The last commit of the release before this one: one node, one Redis."""

ROOT = Path(__file__).parents[2]


@cache
def missing() -> str | None:
    """Why the earlier release cannot be had here; None: it can."""
    try:
        found = _git("rev-parse", "--verify", "--quiet", f"{BEFORE}^{{commit}}")
    except FileNotFoundError:
        return "the earlier release is taken out of the history: there is no git"
    if found.returncode != 0:
        return f"the earlier release is taken out of the history: it has no commit {BEFORE} here"
    return None


def environ_of_earlier(directory: Path) -> dict[str, str]:
    """Put the earlier release into `directory`; what the environment of a process needs to run it."""
    archive = _git("archive", "--format=tar", BEFORE, "pushpull")
    assert archive.returncode == 0, archive.stderr.decode()
    directory.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(directory)], input=archive.stdout, check=True)
    return {"PYTHONPATH": str(directory)}


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
