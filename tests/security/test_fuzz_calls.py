"""The service against its own description: what fits /openapi.json, and what does not, is answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from pushpull.delivery import transfer
from pushpull.web.routes import ENDPOINTS
from tests.e2e.service import API_KEY, ServiceProcess, token_of
from tests.servers import RedisServer

schemathesis.serializer.alias(transfer.MEDIA_TYPE, "text/plain")  # a body is what was made up, as text

FITTING, UNFIT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CALLS = [(one.method, one.path, FITTING) for one in ENDPOINTS]
CALLS += [(one.method, one.path, UNFIT) for one in ENDPOINTS if "{" in one.path or one.query or one.body]
CALLERS: dict[str, dict[str, str]] = {
    "member": {"Authorization": f"Bearer {token_of('bob')}"},
    "server": {"X-API-Key": API_KEY},
}
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
ROOM = {"cid": "room", "uid": "bob", "seq": 1, "session": "s1"}
"""What exists, for the requests that are to get further than to a 404."""

FIXED = settings(
    derandomize=True,
    max_examples=12,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One service for all of them, whose answers are looked at and its log at the end."""
    redis = RedisServer()
    unbound = dict.fromkeys(("frames_per_s", "sends_per_s", "conversation_sends_per_s"), 1_000_000)
    directory: Path = tmp_path_factory.mktemp("fuzzed")
    running = ServiceProcess(directory, redis.url, **{f"limits__{name}": value for name, value in unbound.items()})
    try:
        redis.start()
        running.start()
        yield running
    finally:
        running.kill()
        redis.remove()


@pytest.fixture(scope="module")
def described(process: ServiceProcess) -> OpenApiSchema:
    return schemathesis.openapi.from_url(f"{process.url}/openapi.json")


@pytest.fixture
def client(process: ServiceProcess) -> Iterator[httpx2.Client]:
    """A client by which the room is there before each test, whatever the one before has done to it."""
    with httpx2.Client(base_url=process.url, timeout=10, trust_env=False) as client:
        furnish(client)
        yield client


def furnish(client: httpx2.Client) -> None:
    key = CALLERS["server"]
    client.put("/v1/conversations/room", json={"settings": {}}, headers=key).raise_for_status()
    client.post("/v1/conversations/room/members", json={"add": ["bob", "alice"]}, headers=key).raise_for_status()
    client.put("/v1/users/bob/revoked_before", json={"ts": 0}, headers=key).raise_for_status()
    message = {"cmid": "first", "body": "hi", "from": "alice"}
    client.post("/v1/conversations/room/messages", json=message, headers=key).raise_for_status()


def check(case: Case, caller: dict[str, str], process: ServiceProcess) -> None:
    """Ask, and hold the answer against the description."""
    answer: Any = case.call(base_url=process.url, headers=caller)
    assert isinstance(answer, Response)
    if answer.status_code >= 500:
        assert (answer.status_code, answer.json()["code"]) == (501, "unsupported"), answer.text
    case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path", "mode"), CALLS, ids=[f"{one[0]} {one[1]} {one[2].value}" for one in CALLS])
def test_answers_are_what_is_described(
    client: httpx2.Client,
    described: OpenApiSchema,
    process: ServiceProcess,
    method: str,
    path: str,
    mode: GenerationMode,
    caller: str,
) -> None:
    operation = described[path][method]
    existing = {name: value for name, value in ROOM.items() if f"{{{name}}}" in path}
    chosen = {"path_parameters": existing} if mode is FITTING and existing else {}

    @FIXED
    @given(operation.as_strategy(generation_mode=mode, **chosen))
    def run(case: Case) -> None:
        check(case, CALLERS[caller], process)

    run()

    assert "Traceback" not in process.output, process.output[-3_000:]
