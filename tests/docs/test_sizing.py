"""The sizing page: its figures are those that were measured, and its sums come to what it says."""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from pushpull.client import Server
from pushpull.redis_server import info_field
from pushpull.settings import Settings
from tests.docs.blocks import ROOT
from tests.e2e.service import API_KEY, ServiceProcess
from tests.servers import RedisServer

PAGE: Final = (ROOT / "docs" / "sizing.md").read_text()
NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
CONVERSIONS: Final = {1_000_000, 86_400, 1_024, 1_073_741_824, 8, 7_200, 7, 3, 2_000, 512, 10_000, 100, 1}
"""Numbers that may stand in a sum without being named above it: units, and what the line itself says."""

OPERATIONS: Final[dict[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def rows(*head: str) -> Iterator[list[str]]:
    """The rows of every table with this head (its first cells)."""
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[: len(head)] == list(head):
            inside = True
        elif inside and not cells[0].startswith("---"):
            yield cells


def number_in(text: str) -> float:
    found = NUMBER.search(text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


def comes_to(sum_: str) -> float:
    plain = sum_.replace(",", "").replace("×", "*").replace("÷", "/").replace("−", "-")
    return _value(ast.parse(plain, mode="eval").body)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    assert isinstance(node, ast.Constant), ast.dump(node)
    return float(node.value)


def is_shown_as(value: float, shown: str) -> bool:
    """Whether `shown` is this value, rounded to as many digits as it has."""
    number = NUMBER.search(shown)
    assert number is not None
    digits = len(number[0].partition(".")[2])
    return abs(value - number_in(shown)) <= 0.5000001 * 10**-digits


COSTS: Final = list(rows("what", "costs"))
SUMS: Final = list(rows("what", "reckoning"))


@pytest.mark.parametrize("row", [row for row in COSTS if ": " in row[2]], ids=lambda row: row[0])
def test_a_cost_is_what_was_measured(row: list[str]) -> None:
    results: list[dict[str, Any]] = json.loads((ROOT / "bench" / "full.json").read_text())["results"]
    measured = {f"{one['workload']}: {figure['name']}": figure for one in results for figure in one["figures"]}
    figure = measured[row[2]]

    assert row[1].rpartition(" ")[2] in (figure["unit"], "bytes"), figure
    assert is_shown_as(figure["value"], row[1]), f"{row[0]}: {figure['value']} was measured, {row[1]} is shown"


def test_the_frame_is_as_long_as_the_benchmark_page_says() -> None:
    (shown,) = (row[1] for row in COSTS if row[2] == "bench/README.md")

    assert f"| 1 | {number_in(shown):.0f} |" in (ROOT / "bench" / "README.md").read_text()


@pytest.mark.parametrize("row", SUMS, ids=lambda row: row[0])
def test_a_sum_comes_to_what_it_says(row: list[str]) -> None:
    value = comes_to(row[1])

    if "rounded up" in row[2]:
        assert math.ceil(value) == number_in(row[2])
    else:
        shown = number_in(row[2])
        assert abs(value - shown) <= max(0.005 * value, 1e-9), f"{row[0]}: {value} is shown as {row[2]}"


def test_every_number_in_a_sum_was_said_before() -> None:
    said = {number_in(row[1]) for row in COSTS} | set(map(float, CONVERSIONS))
    said |= {number_in(row[1]) for head in ("about your app", "your machines and wishes") for row in rows(head)}
    for row in SUMS:
        for number in NUMBER.findall(row[1]):
            assert float(number.replace(",", "")) in said, f"{row[0]}: where is {number} from?"
        said.add(number_in(row[2]))


def test_what_it_says_of_settings_is_their_default() -> None:
    wishes = {row[0]: number_in(row[1]) for row in rows("your machines and wishes")}
    settings = Settings()

    assert wishes["connections of a worker (`limits.connections`)"] == settings.limits.connections
    tails = wishes["MiB of message tails in a worker (`delivery.tails_bytes`)"]
    assert tails == settings.delivery.tails_bytes / 2**20
    assert 2 * settings.idempotency.window_s == 7_200
    assert settings.limits.http_connections == 2_000


def make_conversations(server: Server, numbers: range) -> None:
    """Conversations of ten members with one message."""
    for number in numbers:
        server.put_conversation(f"c{number}", members=[f"u{user}" for user in range(10)])
        server.send(f"c{number}", {"text": "x" * 190}, sender="u1")


def test_conversations_members_and_processes_are_as_large_as_it_says(
    redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    said = {row[0]: number_in(row[1]) for row in COSTS if row[2] == "measured by this page's test"}
    service = ServiceProcess(tmp_path, redis_url)

    def used() -> int:
        return int(info_field(redis_server.ask("INFO", "memory"), "used_memory") or 0)

    service.start()
    try:
        status = Path(f"/proc/{service.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        with Server(service.url, API_KEY) as server:
            make_conversations(server, range(30))  # scripts, connections and their buffers are there once
            at_first = used()
            make_conversations(server, range(30, 180))
            small = (used() - at_first) / 150
            server.put_conversation("large")
            before = used()
            server.add_members("large", [f"member-{user}" for user in range(5_000)])
            each = (used() - before) / 5_000
    finally:
        service.kill()

    assert resident is not None
    # Servers differ, and what Redis asks the system for comes in steps.
    assert small == pytest.approx(
        said["a conversation of up to about a hundred members, beside its messages"], rel=0.25
    )
    assert each == pytest.approx(said["each member of a large conversation"], rel=0.5)
    assert int(resident[1]) / 1024 == pytest.approx(said["a process of the service without connections"], rel=0.35)
