"""What is shipped for Prometheus and Grafana: sound by promtool's word, and it speaks of metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.contract import PAGE, written
from tests.deploy.prometheus import DASHBOARD, ROOT, SHIPPED, alert_rules, filled_in, named_in, queries
from tests.programs import program


def promtool(*arguments: str | Path) -> str:
    """What it says; the test fails where it is not content."""
    done = subprocess.run([program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_one() -> None:
    assert "SUCCESS: 1 rule files found" in promtool("check", "config", SHIPPED / "prometheus.yml")


def test_the_alerts_are_sound_and_fire_on_made_up_series_and_on_no_healthy_ones() -> None:
    promtool("check", "rules", SHIPPED / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", SHIPPED / "alerts_test.yml")


def test_every_alert_has_a_test_in_which_it_fires_and_a_moment_before() -> None:
    fires: set[str] = set()
    for test in yaml.safe_load((SHIPPED / "alerts_test.yml").read_text())["tests"]:
        expected = [each["exp_samples"] for each in test.get("promql_expr_test", ())]
        moments = [" ".join(sample["labels"] for sample in each) for each in expected]
        if moments and not moments[0]:
            fires |= set(re.findall(r'alertname="(\w+)"', " ".join(moments)))

    assert fires == {rule["alert"] for rule in alert_rules()}


def test_a_rule_that_fires_on_healthy_series_is_found(tmp_path: Path) -> None:
    spoilt = (SHIPPED / "alerts.yml").read_text().replace("pushpull_shedding_level > 0", "pushpull_shedding_level >= 0")
    (tmp_path / "alerts.yml").write_text(spoilt)
    tests = yaml.safe_load((SHIPPED / "alerts_test.yml").read_text())
    tests["tests"] = tests["tests"][:1]
    (tmp_path / "alerts_test.yml").write_text(yaml.safe_dump(tests))

    with pytest.raises(AssertionError, match="PushpullShedding"):
        promtool("test", "rules", tmp_path / "alerts_test.yml")


def test_every_alert_says_what_it_is_how_bad_and_where_to_read_on() -> None:
    headings = set(re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE))

    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert {rule["alert"] for rule in alert_rules()} <= headings


def test_alerts_and_dashboard_speak_of_metrics_of_the_contract() -> None:
    asked = set().union(*(named_in(rule["expr"]) for rule in alert_rules()), *(named_in(each) for _, each in queries()))

    assert len(asked) > 40
    assert asked <= written().keys()


def test_every_metric_but_a_few_is_on_the_dashboard() -> None:
    """What is not is told by another that is, or says nothing over time."""
    shown = set().union(*(named_in(each) for _, each in queries()))

    assert written().keys() - shown == {
        "pushpull_build_info",  # what the choice of nodes is read from
        "pushpull_connections",
        "pushpull_cursor_flushes_total",
        "pushpull_deletions",
        "pushpull_deletions_ended_total",
        "pushpull_doorbell_ok",
        "pushpull_draining",
        "pushpull_notify_interval_seconds",
        "pushpull_offline_marks_total",
        "pushpull_spans_total",
        "pushpull_waiting_sends_max",
        "process_cpu_seconds_total",
        "process_virtual_memory_bytes",
    }


def test_what_the_dashboard_asks_is_a_language_prometheus_speaks(tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [each for _, each in queries()]
    asked += [filled_in(each["expr"]) for each in dashboard["annotations"]["list"] if "expr" in each]
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(asked)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)


def test_the_dashboard_stands_on_its_own_variables_and_panels_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    panels = dashboard["panels"]
    taken: set[tuple[int, int]] = set()

    assert {"datasource", "instance"} == variables
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        box = panel["gridPos"]
        cells = {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        assert box["x"] + box["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert not re.findall(r"\$(?!__|instance\b)\w+", target["expr"]), panel["title"]


def test_grafana_is_told_of_the_data_source_and_the_folder() -> None:
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "pushpull.yml").read_text())["providers"]

    assert (source["type"], source["isDefault"], source["url"]) == ("prometheus", True, "http://prometheus:9090")
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
