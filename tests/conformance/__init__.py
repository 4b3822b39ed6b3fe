"""What every client is held to, as JSON, and how a run is compared with it. The README says how to play the cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FLOWS = ("receiving", "notices", "screen", "resets", "deleted", "sending", "sessions")

Case = dict[str, Any]
Trace = list[dict[str, Any]]
"""What happened in each step: `hello`, `out`, `events`, `settled`, `look_up`, `positions`, `conversations`."""

WELCOME = {
    "type": "welcome",
    "session": "s1",
    "user": "bob",
    "device": "phone",
    "node": "n1",
    "time": 1_000_000,
    "heartbeat_s": 25,
    "ack": {"delay_ms": 200, "max": 100},
    "limits": {},
}

# How a client names its requests, and how much it asks for at once, is its own affair.
FREE = {"out": {"rid", "limit"}, "events": None, "settled": None}
"""Fields beyond those expected that may be there; None: any."""


def flows() -> list[tuple[str, Case]]:
    """(file and name, case) of every case that is played step by step."""
    return [(f"{file}: {case['name']}", case) for file in FLOWS for case in read(file)["cases"]]


def read(file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((HERE / f"{file}.json").read_text())
    return content


def differences(case: Case, trace: Trace) -> list[str]:
    """Where a run is not what the case expects; empty: it conforms."""
    assert len(trace) == len(case["steps"]), "a step was not played"
    found = []
    for number, (step, happened) in enumerate(zip(case["steps"], trace, strict=True), 1):
        found += [f"step {number}, {what}" for what in _of_step(step, happened)]
    return found


def _of_step(step: dict[str, Any], happened: dict[str, Any]) -> list[str]:
    found = []
    for what, free in FREE.items():
        wanted, got = step.get(what, []), happened[what]
        if len(wanted) != len(got) or not all(_fits(one, other, free) for one, other in zip(wanted, got, strict=True)):
            found.append(f"{what}: expected {wanted}, got {got}")
    if happened["look_up"] != step.get("look_up", []):
        found.append(f"look_up: expected {step.get('look_up', [])}, got {happened['look_up']}")
    states = ("positions", "conversations", "hello")
    return found + [
        f"{what}: expected {step[what]}, got {happened[what]}"
        for what in states
        if not _holds(step.get(what, {}), happened[what])
    ]


def _fits(wanted: dict[str, Any], got: dict[str, Any], free: set[str] | None) -> bool:
    beyond = got.keys() - wanted.keys()
    return _holds(wanted, got) and (free is None or beyond <= free)


def _holds(wanted: Any, got: Any) -> bool:
    """Whether everything that is wanted is there; "*" is anything at all. Positions of a hello are all or nothing."""
    if wanted == "*":
        return got is not None
    if isinstance(wanted, dict) and isinstance(got, dict):
        complete = "positions" not in wanted or wanted["positions"] == got.get("positions")
        return complete and all(name in got and _holds(value, got[name]) for name, value in wanted.items())
    return bool(wanted == got)
