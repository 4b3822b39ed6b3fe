"""deploy/compose.yaml: no engine runs it here, so it is held against the specification's schema, against the files and
settings it names, and its health check against a running service."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushpull.config import load
from pushpull.settings import Settings
from tests.deploy.shipped import DEPLOY, ROOT, compose, files_needed, made_secrets, seconds, stop_s
from tests.e2e.conftest import ServeProcess, serve_process  # noqa: F401 - a fixture of these tests, too
from tests.servers import free_port

NODES = ("pushpull-1", "pushpull-2")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def judged(file: Path) -> subprocess.CompletedProcess[str]:
    """What the schema of the compose specification says to a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def settings_of_nodes(secrets: Path) -> Settings:
    """The settings that the containers of the nodes have, with their secrets in this folder."""
    given = services()[NODES[0]]["environment"]
    return load(None, {name: value.replace("/run/secrets", str(secrets)) for name, value in given.items()})[0]


def test_the_schema_takes_the_file() -> None:
    assert judged(DEPLOY / "compose.yaml").returncode == 0


def test_the_schema_refuses_a_key_that_no_service_has(tmp_path: Path) -> None:
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / "compose.yaml").read_text().replace("stop_grace_period", "stop_grace"))

    assert "stop_grace" in judged(broken).stdout


def test_what_a_service_names_is_there() -> None:
    for name, service in services().items():
        assert set(service.get("depends_on", ())) <= set(services()), name
        assert set(service["networks"]) <= set(compose()["networks"]), name
        assert set(service.get("secrets", ())) <= set(compose()["secrets"]), name
        for source, *_ in (volume.split(":") for volume in service.get("volumes", ())):
            known = (DEPLOY / source).exists() if source.startswith(".") else source in compose()["volumes"]
            assert known, f"{name} mounts {source}"


def test_no_image_is_whatever_is_newest() -> None:
    for name, service in services().items():
        assert re.fullmatch(r"[a-z/]+:(v?\d+\.\d+(\.\d+)?|local)", service["image"]), name


def test_every_secret_is_made_and_each_but_once(tmp_path: Path) -> None:
    secrets = made_secrets(tmp_path)
    before = {file.name: file.read_text() for file in secrets.iterdir()}

    assert {f"./secrets/{name}" for name in before} == {secret["file"] for secret in compose()["secrets"].values()}
    assert {file.name: file.read_text() for file in made_secrets(tmp_path).iterdir()} == before
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700


def test_the_guide_speaks_of_secrets_that_are_made(tmp_path: Path) -> None:
    named = set(re.findall(r"deploy/secrets/(\w+)", (ROOT / "docs" / "deployment.md").read_text()))

    assert named == {"jwt_secret", "api_keys", "grafana_password"}
    assert named <= {file.name for file in made_secrets(tmp_path).iterdir()}


def test_the_nodes_settings_are_settings(tmp_path: Path) -> None:
    settings = settings_of_nodes(made_secrets(tmp_path))

    assert re.fullmatch(r"redis://pushpull:[0-9a-f]{64}@redis:6379/0", settings.redis.url)
    assert [len(secret) for secret in (*settings.auth.jwt_secret, *settings.auth.api_keys)] == [64, 64]
    assert services()[NODES[0]]["environment"] == services()[NODES[1]]["environment"]


@pytest.mark.parametrize("node", NODES)
def test_a_node_has_time_to_drain_and_files_for_its_connections(node: str) -> None:
    service = services()[node]

    assert seconds(service["stop_grace_period"]) > stop_s()
    assert service["ulimits"]["nofile"]["hard"] >= files_needed()


def test_nginx_and_prometheus_know_the_nodes() -> None:
    nginx, prometheus = ((DEPLOY / name).read_text() for name in ("nginx/nginx.conf", "prometheus/prometheus.yml"))
    names, places = set(), set()
    for node in NODES:
        front = services()[node]["networks"]["front"]
        names |= set(front["aliases"])
        places.add(front["ipv4_address"])

    assert set(re.findall(r"server (\S+):8080 max_fails", nginx)) == set(NODES)
    assert len(places) == len(NODES), "nginx asks for an address but once"
    assert [f"names: [{name}]" in prometheus for name in names] == [True]


def test_the_world_reaches_nginx_alone_and_nobody_but_the_nodes_redis() -> None:
    published = {
        name: port for name, service in services().items() for port in service.get("ports", ()) if port.count(":") == 1
    }

    assert published == {"nginx": "8080:8080"}
    assert compose()["networks"]["data"]["internal"] is True
    assert services()["redis"]["networks"] == ["data"]
    assert {name for name, service in services().items() if "data" in service["networks"]} == {"redis", *NODES}


@pytest.fixture
def port(serve_process: ServeProcess) -> int:  # noqa: F811
    return serve_process().port


def test_the_health_check_tells_a_ready_node_from_none(port: int) -> None:
    _, program, *arguments = services()[NODES[0]]["healthcheck"]["test"]
    assert program == "python"

    def status(at: int) -> int:
        command = [sys.executable, *(argument.replace(":8080/", f":{at}/") for argument in arguments)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert (status(port), status(free_port())) == (0, 1)
