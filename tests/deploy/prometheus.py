"""What is shipped for Prometheus and Grafana, and a Prometheus that runs on it."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.programs import program
from tests.servers import free_port
from tests.servers.server import wait_until

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "pushpull.json"
INTERVAL = "500ms"
SHORT = "1s"
"""In place of each alert's `for`."""

_NAME = re.compile(r"\b(?:pushpull|process)_[a-z_]+\b")
_GRAFANA = {"$__rate_interval": "10s", "$__interval": "15s", "$instance": ".*"}
"""What Grafana puts in, as these tests do."""


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((SHIPPED / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """(panel, expression) of all that the dashboard asks, without Grafana's variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], filled_in(target["expr"])


def filled_in(expression: str) -> str:
    for variable, value in _GRAFANA.items():
        expression = expression.replace(variable, value)
    return expression


def named_in(expression: str) -> set[str]:
    """The metrics that an expression names, histograms without the suffix of their parts."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in _NAME.findall(bare)}


class Prometheus:
    """A real one on loopback, as it is shipped but for its targets, its intervals and the patience of its alerts."""

    def __init__(self, directory: Path, targets: list[str]) -> None:
        self._directory = directory
        self._url = f"http://127.0.0.1:{free_port()}"
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        (job,) = config["scrape_configs"]
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": targets}]
        rules = yaml.safe_load((SHIPPED / "alerts.yml").read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule["for"] = SHORT
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        (directory / "alerts.yml").write_text(yaml.safe_dump(rules))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={self._directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._directory / 'series'}",
                    f"--web.listen-address={self._url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, f"prometheus answers; {self._directory / 'prometheus.log'}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series an expression gives now. AssertionError where Prometheus cannot make sense of it."""
        answer = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[tuple[str, str]]:
        """(alert, instance) of those that fire; "" where an alert is about no single node."""
        alerts = self._get("/api/v1/alerts")["data"]["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=10) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
