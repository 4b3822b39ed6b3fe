"""`pushpull doctor` as it is called: what it prints, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from pushpull.cli import main
from tests.e2e.service import ServiceProcess
from tests.leaks import API_KEY, SECRET
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [name for name in os.environ if name.startswith("PUSHPULL_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--seconds", "0", *words])


def codes_in(result: Result) -> set[str]:
    return {finding["code"] for item in orjson.loads(result.stdout)["items"] for finding in item["findings"]}


def test_settings_that_cannot_be_used_are_an_error_and_all_that_is_said(tmp_path: Path) -> None:
    Path("bad.toml").write_text("[server]\nport = 99999\n[auth]\njwt_secret = ['short']\n")

    result = run("--config", "bad.toml", "--json")

    assert result.exit_code == 1
    assert codes_in(result) == {"settings_invalid"}
    (item,) = orjson.loads(result.stdout)["items"]
    assert "server.port" in item["findings"][0]["seen"]


def test_a_redis_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUSHPULL_REDIS__URL", f"unix://{tmp_path}/nowhere.sock")
    monkeypatch.setenv("PUSHPULL_AUTH__JWT_SECRET", SECRET)

    result = run("--json")

    assert result.exit_code == 1
    assert "redis_unreachable" in codes_in(result)


def test_nothing_is_made_where_no_service_has_run(tmp_path: Path) -> None:
    result = run()

    assert "the embedded Redis does not run" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_ends_with_two() -> None:
    assert run("--seconds", "-1").exit_code == 2
    assert run("--unheard-of").exit_code == 2


def test_people_are_told_what_was_seen_why_it_bites_and_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPULL_DELIVERY__ACK_WAIT_MS", "100")

    result = run()

    assert (result.exit_code, result.stderr) == (0, "")
    shown = result.stdout.partition("warning ack_wait_short\n")[2].splitlines()
    assert [line.split()[0] for line in shown[:3]] == ["seen", "why", "mend"]
    assert "delivery.ack_wait_ms is 100" in shown[0]


def test_warnings_fail_where_they_are_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPULL_DELIVERY__ACK_WAIT_MS", "100")

    assert run().exit_code == 0
    assert run("--strict").exit_code == 1


@pytest.fixture
def process(redis_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    running = ServiceProcess(tmp_path, redis_url)
    running.start()
    yield running
    running.kill()


def test_a_running_service_is_asked_and_what_it_says_is_found(
    process: ServiceProcess, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHPULL_REDIS__URL", redis_server.url)
    asked = ("--json", "--url", process.url, "--api-key", API_KEY)

    item = next(item for item in orjson.loads(run(*asked).stdout)["items"] if item["item"] == "service")
    assert (item["status"], item["seen"]) == ("ok", f"{process.url}: ready, 1 node")

    redis_server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1gb")
    try:
        assert {"not_ready", "evicts"} <= codes_in(run(*asked))
    finally:
        redis_server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "0")

    assert codes_in(run("--json", "--url", process.url, "--api-key", "not-one-of-theirs-at-all")) >= {"api_key_refused"}
    without_a_key = run("--json", "--url", process.url)
    seen = [item["seen"] for item in orjson.loads(without_a_key.stdout)["items"] if item["item"] == "service"]
    assert seen == [f"{process.url}: ready"]
