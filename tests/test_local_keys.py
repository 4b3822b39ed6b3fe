"""Keys the service makes for itself: once, for the owner alone, and only on its own Redis."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pushpull.config import load
from pushpull.errors import ConfigError
from pushpull.local_keys import found, with_local_keys

SECRET = "s" * 32


def test_keys_are_made_once_and_found_again(tmp_path: Path) -> None:
    settings, origins = load(flags={"server.data_dir": str(tmp_path)})

    first, told = with_local_keys(settings, origins, make=True)
    second, _ = with_local_keys(settings, origins, make=True)

    assert first.auth == second.auth
    assert len(first.auth.jwt_secret[0]) >= 32
    assert first.auth.jwt_secret != first.auth.api_keys
    assert found(tmp_path).api_key == first.auth.api_keys[0]
    assert told["auth.api_keys"] == f"made once, kept in {tmp_path}/api_key"


def test_made_keys_are_readable_by_the_owner_alone_and_leave_nothing_else(tmp_path: Path) -> None:
    with_local_keys(*load(flags={"server.data_dir": str(tmp_path)}), make=True)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"jwt_secret": 0o600, "api_key": 0o600}


def test_whoever_only_looks_makes_nothing(tmp_path: Path) -> None:
    settings, _ = with_local_keys(*load(flags={"server.data_dir": str(tmp_path / "absent")}), make=False)

    assert settings.auth.jwt_secret == ()
    assert not (tmp_path / "absent").exists()


def test_what_is_set_is_not_replaced(tmp_path: Path) -> None:
    flags = {"server.data_dir": str(tmp_path), "auth.jwt_secret": SECRET, "auth.api_keys": "an-operators-own-key"}

    settings, origins = with_local_keys(*load(flags=flags), make=True)

    assert settings.auth.jwt_secret == (SECRET,)
    assert settings.auth.api_keys == ("an-operators-own-key",)
    assert origins["auth.jwt_secret"] == "flag --auth-jwt-secret"
    assert list(tmp_path.iterdir()) == []


def test_a_named_redis_needs_a_named_key(tmp_path: Path) -> None:
    settings, origins = load(flags={"server.data_dir": str(tmp_path), "redis.url": "redis://example"})

    with pytest.raises(ConfigError, match="nothing to verify tokens with; expected one of"):
        with_local_keys(settings, origins, make=True)


def test_a_made_secret_that_no_algorithm_may_use_stops_the_start(tmp_path: Path) -> None:
    settings, origins = load(flags={"server.data_dir": str(tmp_path), "auth.jwt_algorithms": ["EdDSA"]})

    with pytest.raises(ConfigError, match="jwt_algorithms has only EdDSA"):
        with_local_keys(settings, origins, make=True)


def test_keys_open_to_others_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "api_key").write_text("key-of-the-backend-1\n")
    (tmp_path / "api_key").chmod(0o644)

    assert found(tmp_path).api_key == "key-of-the-backend-1"
    assert "can be read by others" in caplog.text
    assert "key-of" not in caplog.text
