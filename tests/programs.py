"""Programs that are no Python packages and that tests of deploy/ run: nginx, prometheus, promtool.

./scripts/test and ./scripts/tools find them, or unpack Debian's into .tools.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / ".tools"
PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", f"{TOOLS}/usr/sbin", f"{TOOLS}/usr/bin"])


def program(name: str) -> str:
    """Where a program is. Without it the test fails: nobody would notice that it is skipped."""
    named = os.environ.get(f"PUSHPULL_{name.upper()}")
    found = shutil.which(named or name, path=PLACES)
    if found is None:
        pytest.fail(f"no {named or name} found, which ./scripts/tools fetches on Debian", pytrace=False)
    return found
