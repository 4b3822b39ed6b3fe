"""deploy/redis/redis.conf and the users that deploy/make-secrets names, by a real server with a service on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.deploy.shipped import DEPLOY, made_secrets
from tests.e2e.service import serving, settings_of
from tests.servers import RedisServer, free_port


@dataclass(frozen=True)
class Shipped:
    url: str  # as the nodes have it, with their password
    client: redis.Redis  # the same user
    stranger: redis.Redis


@pytest.fixture
def shipped(start_redis: Callable[..., RedisServer], tmp_path: Path) -> Shipped:
    """The server as it is shipped; its port, its directory and where its secrets lie are the test's."""
    secrets, port = made_secrets(tmp_path), free_port()
    text = (DEPLOY / "redis" / "redis.conf").read_text()
    for theirs, ours in (
        ("port 6379", f"port {port}"),
        ("dir /data", f"dir {tmp_path}"),
        ("/run/secrets", str(secrets)),
    ):
        assert text.count(theirs) == 1
        text = text.replace(theirs, ours)
    conf = tmp_path / "redis.conf"
    conf.write_text(text)
    start_redis(port=port, include=str(conf))
    url = (secrets / "redis_url").read_text().strip().replace("@redis:6379/", f"@127.0.0.1:{port}/")
    client = redis.Redis.from_url(url, decode_responses=True)
    return Shipped(url, client, redis.Redis(port=port))


async def test_a_service_works_on_it(shipped: Shipped) -> None:
    async with serving(settings_of(), shipped.url) as service:
        await service.room("room", "alice", "bob")
        bob = await service.device("bob")
        await service.post("room", "c1", sender="alice")
        await bob.collect("room", 1)
        await service.remove("room", "alice")
        ready = (await service.anybody().get("/readyz")).json()

    assert ready["checks"] == {"redis": "ok", "doorbell": "ok", "draining": "ok"}


def test_doctor_finds_nothing_wrong_with_it(shipped: Shipped, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "PUSHPULL_REDIS__URL": shipped.url,
        "PUSHPULL_AUTH__JWT_SECRET_FILE": str(tmp_path / "secrets" / "jwt_secret"),
        "PUSHPULL_AUTH__API_KEYS_FILE": str(tmp_path / "secrets" / "api_keys"),
    }
    doctor = [sys.executable, "-c", "from pushpull.cli import main; main()", "doctor", "--json", "--seconds", "0"]
    done = subprocess.run(doctor, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    found = {item["item"]: item["status"] for item in json.loads(done.stdout)["items"]}

    of_redis = (
        "redis",
        "keys",
        "persistence",
        "memory",
        "doorbells",
        "failover",
        "secrets",
        "secret files",
        "settings",
    )
    assert {name: found[name] for name in of_redis} == dict.fromkeys(of_redis, "ok"), done.stdout


def test_it_keeps_everything_and_evicts_nothing(shipped: Shipped) -> None:
    with shipped.client as client:
        told = {
            name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "save")
        }
        bells = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]

    assert told == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
    assert bells.endswith("pubsub 134217728 67108864 60")


def test_nodes_may_not_harm_the_server_and_strangers_may_ask_whether_it_lives(shipped: Shipped) -> None:
    with shipped.client as client, shipped.stranger as stranger:
        assert stranger.ping() is True
        for who, command in (
            (client, ("FLUSHALL",)),
            (client, ("CONFIG", "SET", "maxmemory", "1")),
            (client, ("SHUTDOWN",)),
            (client, ("KEYS", "*")),
            (stranger, ("GET", "schema")),
            (stranger, ("INFO",)),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                who.execute_command(*command)
