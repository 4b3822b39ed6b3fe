"""deploy/systemd/pushpull.service: what it gives a node, and what systemd, where there is one, says of it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pushpull.commands.serve import command as serve
from pushpull.config import load
from pushpull.settings import Settings
from tests.deploy.shipped import DEPLOY, ROOT, files_needed, made_secrets, seconds, stop_s

UNIT = DEPLOY / "systemd" / "pushpull.service"
EXPOSURE_MAX = 1.5
"""By `systemd-analyze security`, from 0 (nothing to be had) to 10. Most services of a plain system have 9.6."""

SANDBOX = {
    **dict.fromkeys(("CapabilityBoundingSet", "AmbientCapabilities"), ""),
    **dict.fromkeys(("NoNewPrivileges", "DynamicUser", "PrivateTmp", "PrivateDevices", "PrivateUsers"), "yes"),
    **dict.fromkeys(("ProtectHome", "ProtectClock", "ProtectControlGroups", "ProtectHostname"), "yes"),
    **dict.fromkeys(("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables"), "yes"),
    **dict.fromkeys(("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality"), "yes"),
    "MemoryDenyWriteExecute": "yes",
    "ProtectSystem": "strict",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}


def read() -> dict[str, list[str]]:
    """Directive -> its values, over all sections. AssertionError for a line that systemd would pass over."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, is_one, value = line.partition("=")
            assert is_one, line
            assert name.isalpha(), line
            found.setdefault(name, []).append(value)
    return found


def settings(secrets: Path) -> Settings:
    """Those that the node has by the unit and the documented file, with its secrets in this folder."""
    given = dict(value.split("=", 1) for value in read()["Environment"])
    environ = {name: value.replace("%d", str(secrets)).replace("%S", "/var/lib") for name, value in given.items()}
    return load(ROOT / "config" / "pushpull.toml", environ)[0]


def test_it_starts_the_service_with_options_that_there_are() -> None:
    (start,) = read()["ExecStart"]
    program, name, *arguments = shlex.split(start)

    assert (Path(program).name, name) == ("pushpull", "serve")
    assert serve.make_context("serve", arguments).params["config_file"] == "/etc/pushpull/pushpull.toml"


def test_a_node_has_time_to_drain_and_files_for_its_connections(tmp_path: Path) -> None:
    given = settings(made_secrets(tmp_path))

    assert seconds(read()["TimeoutStopSec"][0]) > stop_s(given)
    assert int(read()["LimitNOFILE"][0]) >= files_needed(given)
    assert read()["KillSignal"] + read()["KillMode"] == ["SIGTERM", "mixed"]


def test_secrets_are_credentials_and_nothing_of_them_stands_in_the_unit(tmp_path: Path) -> None:
    lent = {value.partition(":")[0] for value in read()["LoadCredential"]}
    asked = {value.partition("=%d/")[2] for value in read()["Environment"] if "=%d/" in value}

    assert lent == asked == {"redis_url", "jwt_secret", "api_keys"}
    assert settings(made_secrets(tmp_path)).server.data_dir == f"/var/lib/{read()['StateDirectory'][0]}"


def test_it_may_do_no_more_than_it_needs() -> None:
    unit = read()

    assert {name: unit.get(name) for name in SANDBOX} == {name: [value] for name, value in SANDBOX.items()}
    assert unit["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert set(unit["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here; the tests above are")
def test_systemd_takes_it_and_finds_it_confined(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/pushpull/bin/pushpull", sys.executable))

    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    threshold = f"--threshold={EXPOSURE_MAX * 10:.0f}"
    judge = ["systemd-analyze", "security", "--offline=yes", "--no-pager", threshold, str(unit)]
    judged = subprocess.run(judge, capture_output=True, text=True, check=False)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]
