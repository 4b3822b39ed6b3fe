"""What `pushpull serve` says when it is up, and what it does with the process's own limits."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from pushpull.commands.serve import _allow_open_files, greeting
from pushpull.config import load
from pushpull.local_keys import with_local_keys


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "pushpull"), "serve"])


def said(config_file: str | None = None, **flags: object) -> str:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return greeting(*with_local_keys(*load(flags=given), make=True), config_file)


def test_a_newcomer_is_told_the_key_and_three_things_to_try() -> None:
    first, demo, key, _, token, send, tail = said().splitlines()

    assert first == "pushpull serves http://127.0.0.1:8080"
    assert demo.endswith("http://127.0.0.1:8080/demo")
    assert key == f"API key: {Path('data/api_key').read_text().strip()}"
    assert token == "  bin/pushpull token alice"
    assert send.startswith("  bin/pushpull members hello --add alice,bob && bin/pushpull send hello")
    assert tail == "  bin/pushpull tail hello --as bob"


def test_a_demo_that_is_not_shown_is_not_offered() -> None:
    assert "/demo" not in said(server__demo="off")


def test_commands_to_try_find_a_service_that_was_started_with_flags() -> None:
    told = said("my settings.toml", server__port=9000, server__data_dir="data")

    assert (
        "\n  PUSHPULL_CONFIG='my settings.toml' PUSHPULL_SERVER__DATA_DIR=data PUSHPULL_SERVER__PORT=9000 bin/pu"
        in told
    )


def test_an_installed_pushpull_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pushpull").touch(mode=0o755)

    assert "\n  pushpull token alice\n" in said()


def test_keys_an_operator_set_are_not_shown() -> None:
    told = said(auth__api_keys="an-operators-own-key", auth__jwt_secret="s" * 32, server__demo="off")

    assert told == "pushpull serves http://127.0.0.1:8080"


def test_all_interfaces_are_called_by_an_address_one_can_open() -> None:
    assert said(server__host="0.0.0.0").startswith("pushpull serves http://127.0.0.1:8080\n")
    assert said(server__host="::").startswith("pushpull serves http://[::1]:8080\n")


def test_the_limit_of_open_files_is_raised_as_far_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))

    for wanted in (512, 2048, 16_000):
        _allow_open_files(wanted)

    assert raised == [(2048, 4096), (4096, 4096)]
