"""The apps among the examples have tests of their own, as whoever copies them runs them: those run, and pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_in(directory: Path, *arguments: str) -> str:
    """The output of a program in Python, which has to succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PUSHPULL_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_fastapi_app_does_what_its_tests_say() -> None:
    only_pytest = ("-p", "no:asyncio", "-p", "no:cacheprovider")  # its reader has no plugin of ours
    said = run_in(EXAMPLES / "fastapi_chat", "-m", "pytest", *only_pytest, "-W", "error", ".")

    assert "9 passed" in said


def test_the_django_app_does_what_its_tests_say() -> None:
    said = run_in(EXAMPLES / "django_chat", "manage.py", "test")

    assert "Ran 7 tests" in said


def test_the_django_app_has_no_unwritten_settings_or_faults() -> None:
    assert "no issues" in run_in(EXAMPLES / "django_chat", "manage.py", "check")
