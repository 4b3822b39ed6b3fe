"""The command line's own commands: config, token, and how errors are told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from pushpull.cli import main
from pushpull.config import load
from pushpull.local_keys import with_local_keys

SECRET = "s" * 32


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for variable in [name for name in os.environ if name.startswith("PUSHPULL_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_token_is_printed_and_nothing_else(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPULL_AUTH__JWT_SECRET", f"{SECRET},{'t' * 32}")
    monkeypatch.setenv("PUSHPULL_AUTH__AUDIENCE", "chat")
    monkeypatch.setenv("PUSHPULL_AUTH__ISSUER", "us")

    result = run("token", "alice", "--ttl", "60")

    assert result.exit_code == 0
    claims = jwt.decode(result.stdout.strip(), SECRET, algorithms=["HS256"], audience="chat", issuer="us")
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == 60


def test_a_token_is_signed_with_the_key_a_local_service_made(clean_environment: Path) -> None:
    settings, origins = load(flags={"server.data_dir": "data"})
    Path("data").mkdir()
    settings, _ = with_local_keys(settings, origins, make=True)

    result = run("token", "alice")

    assert jwt.decode(result.stdout.strip(), settings.auth.jwt_secret[0], algorithms=["HS256"])["sub"] == "alice"


def test_without_a_secret_there_is_no_token_but_a_way_to_one(clean_environment: Path) -> None:
    result = run("token", "alice")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: no secret to sign a token with in data; start the service there first")


@pytest.mark.parametrize("uid", ["", "a b", "x" * 129])
def test_a_token_is_for_a_uid_only(clean_environment: Path, monkeypatch: pytest.MonkeyPatch, uid: str) -> None:
    monkeypatch.setenv("PUSHPULL_AUTH__JWT_SECRET", SECRET)

    result = run("token", uid)

    assert result.exit_code == 1
    assert "is not 1 to 128 characters" in result.stderr


def test_wrong_usage_is_status_2(clean_environment: Path) -> None:
    assert run("token").exit_code == 2
    assert run("token", "alice", "--ttl", "0").exit_code == 2
    assert run("no-such-command").exit_code == 2


def test_config_shows_every_value_and_its_origin_but_no_secret(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHPULL_AUTH__JWT_SECRET", SECRET)
    monkeypatch.setenv("PUSHPULL_SERVER__PORT", "9000")

    shown = json.loads(run("config", "--json").stdout)

    assert shown["server.port"] == {"value": 9000, "origin": "env PUSHPULL_SERVER__PORT"}
    assert shown["auth.jwt_secret"] == {"value": "(set)", "origin": "env PUSHPULL_AUTH__JWT_SECRET"}
    assert shown["log.level"] == {"value": "info", "origin": "default"}
    table = run("config").stdout
    assert len(table.splitlines()) == len(shown)
    assert SECRET not in table


def test_a_bad_setting_is_one_clear_line_without_a_traceback(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHPULL_SERVER__PORT", "http")

    result = run("config")

    assert result.exit_code == 1
    assert result.stderr == "error: env PUSHPULL_SERVER__PORT: server.port 'http': expected `int`, got `str`\n"


def test_serve_refuses_a_bad_setting_before_it_starts_anything(clean_environment: Path) -> None:
    result = run("serve", "--port", "70000")

    assert result.exit_code == 1
    assert result.stderr == "error: flag --port: server.port 70000: expected `int` <= 65535\n"
    assert list(clean_environment.iterdir()) == []


def test_every_command_says_what_it_does() -> None:
    result = run("--help")

    assert result.exit_code == 0
    for name in ("serve", "token", "config"):
        assert f"\n  {name} " in result.stdout
