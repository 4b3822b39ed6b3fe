"""deploy/kubernetes: no cluster runs it here, so each object is held against its schema, against the others, and
against the paths, ports and settings that the service has."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pushpull.config import load
from pushpull.delivery.liveness import HEARTBEAT_S
from pushpull.errors import ConfigError
from pushpull.settings import Settings
from pushpull.web.bodies import BATCH_BYTES
from pushpull.web.routes import ENDPOINTS
from tests.deploy.shipped import DEPLOY, ROOT, made_secrets, stop_s

FOLDER = DEPLOY / "kubernetes"
VERSIONS = ("1.29", kubernetes_validate.latest_version())
Json = dict[str, Any]


def document(name: str) -> Json:
    found: Json = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


NAMES = sorted(str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.yaml"))
LABELS = {"app.kubernetes.io/name": "pushpull"}


@pytest.fixture
def pod() -> Json:
    found: Json = document("deployment")["spec"]["template"]
    return found


@pytest.fixture
def container(pod: Json) -> Json:
    (found,) = pod["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings(secrets: Path, container: Json) -> Settings:
    """Those that a node would have, with its secrets in this folder."""
    given = {one["name"]: one["value"].replace("/run/secrets/pushpull", str(secrets)) for one in container["env"]}
    return load(None, document("configmap")["data"] | given)[0]


# ---------------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_one_that_kubernetes_knows(name: str, version: str) -> None:
    kubernetes_validate.validate(document(name), version, strict=True)


def test_a_field_that_no_object_has_is_noticed() -> None:
    broken = deepcopy(document("deployment"))
    broken["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1

    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGraceSeconds"):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


# ---------------------------------------------------------------------------------------------------- one another


def test_everybody_means_the_same_pods(pod: Json) -> None:
    assert len(NAMES) == 7
    assert pod["metadata"]["labels"] == LABELS
    assert document("deployment")["spec"]["selector"]["matchLabels"] == LABELS
    assert document("service")["spec"]["selector"] == LABELS
    assert document("poddisruptionbudget")["spec"]["selector"]["matchLabels"] == LABELS
    for constraint in pod["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == LABELS
    assert document("examples/horizontalpodautoscaler")["spec"]["scaleTargetRef"]["name"] == "pushpull"
    assert {document(name)["metadata"]["name"] for name in NAMES} == {"pushpull"}


def test_ports_lead_from_the_ingress_to_the_process(pod: Json, container: Json) -> None:
    (port,), (served,) = container["ports"], document("service")["spec"]["ports"]
    (rule,) = document("examples/ingress")["spec"]["rules"]

    assert port["containerPort"] == Settings().server.port == int(pod["metadata"]["annotations"]["prometheus.io/port"])
    assert served["targetPort"] == port["name"]
    for path in rule["http"]["paths"]:
        assert path["backend"]["service"] == {"name": "pushpull", "port": {"name": served["name"]}}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]


def test_what_the_pod_mounts_is_there(pod: Json, container: Json) -> None:
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}

    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert volumes["secrets"]["secret"]["secretName"] == document("examples/secret")["metadata"]["name"]
    assert container["envFrom"] == [{"configMapRef": {"name": document("configmap")["metadata"]["name"]}}]
    assert {one["value"].rpartition("/")[2] for one in container["env"]} == set(
        document("examples/secret")["stringData"]
    )


# ---------------------------------------------------------------------------------------------------- the service


def test_probes_and_scrapes_ask_for_what_is_served(pod: Json, container: Json) -> None:
    served = {endpoint.path for endpoint in ENDPOINTS if endpoint.method == "GET"}
    asked = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert {*asked.values(), pod["metadata"]["annotations"]["prometheus.io/path"]} <= served


def test_a_node_has_time_to_hand_its_devices_over(pod: Json, container: Json, tmp_path: Path) -> None:
    program, before_s = container["lifecycle"]["preStop"]["exec"]["command"]
    readiness = container["readinessProbe"]
    unready_s = readiness["periodSeconds"] * readiness["failureThreshold"]

    assert program == "sleep"
    assert float(before_s) >= unready_s
    asked_s = float(before_s) + stop_s(settings(made_secrets(tmp_path), container))
    assert pod["spec"]["terminationGracePeriodSeconds"] > asked_s


def test_one_node_goes_at_a_time() -> None:
    deployment = document("deployment")["spec"]

    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert document("poddisruptionbudget")["spec"]["maxUnavailable"] == 1 < deployment["replicas"]
    assert document("examples/horizontalpodautoscaler")["spec"]["minReplicas"] == deployment["replicas"]


def test_a_node_takes_the_settings_with_the_secrets_that_are_made(container: Json, tmp_path: Path) -> None:
    assert settings(made_secrets(tmp_path), container).server.drain_s == 10


def test_a_node_refuses_the_template_of_the_secrets(container: Json, tmp_path: Path) -> None:
    for name, value in document("examples/secret")["stringData"].items():
        (tmp_path / name).write_text(value)

    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, container)

    for name in ("redis.url", "auth.jwt_secret", "auth.api_keys"):
        assert name in refused.value.message


def test_the_user_of_the_pod_is_the_image_s(pod: Json, container: Json) -> None:
    (uid,) = re.findall(r"useradd .*--uid (\d+)", (ROOT / "Dockerfile").read_text())

    assert pod["spec"]["securityContext"]["runAsUser"] == int(uid)
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_ingress_waits_longer_than_the_heartbeat_and_lets_large_bodies_in() -> None:
    told = document("examples/ingress")["metadata"]["annotations"]

    for wait in ("nginx.ingress.kubernetes.io/proxy-read-timeout", "nginx.org/proxy-read-timeout"):
        assert int(told[wait].removesuffix("s")) >= 2.5 * HEARTBEAT_S
    for size in ("nginx.ingress.kubernetes.io/proxy-body-size", "nginx.org/client-max-body-size"):
        assert int(told[size].removesuffix("m")) * 1024**2 == BATCH_BYTES


def test_the_ingress_keeps_what_is_for_operators_inside() -> None:
    (rule,) = document("examples/ingress")["spec"]["rules"]

    assert {path["path"] for path in rule["http"]["paths"]} == {"/v1", "/sdk"}
