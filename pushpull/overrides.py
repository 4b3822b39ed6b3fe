"""Delivery settings that were put into a running service: they lie over its file and environment until taken back.

Precedence, later wins: defaults, file, environment, flags, `PUT /policy`. What an operator has put by hand is meant for
now and for every node, whatever each was started with; so it wins, `GET /policy` says so beside what it hides, and null
takes it back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushpull.contradictions import contradictions
from pushpull.errors import Invalid, lowered
from pushpull.settings import Delivery, Settings

ORIGIN: Final = "PUT /v1/policy"

Overrides = Mapping[str, Any]
"""Key of `[delivery]` → value. Bounded by the keys there are."""

_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(Delivery)}


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`changes` with each value in its setting's type; None, which takes a setting back, stays.

    Raises Invalid that names every unknown key and every value with what is expected instead.
    """
    taken, problems = dict[str, Any](), list[str]()
    for key, value in changes.items():
        try:
            taken[key] = _converted(key, value)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise Invalid("; ".join(problems))
    return taken


def merged(overrides: Overrides, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides after `changes`, which were checked."""
    return {key: value for key, value in {**overrides, **changes}.items() if value is not None}


def applied(settings: Settings, overrides: Overrides) -> Delivery:
    """The delivery settings with `overrides` over them. Raises Invalid where they do not go together."""
    delivery = msgspec.structs.replace(settings.delivery, **overrides)
    found = contradictions(msgspec.structs.replace(settings, delivery=delivery))
    problems = [text for names, text in found if any(name.startswith("delivery.") for name in names)]
    if problems:
        raise Invalid("; ".join(problems))
    return delivery


def known(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Of what another release may have put: what this one can take, and what is wrong with the rest."""
    taken, problems = dict[str, Any](), list[str]()
    for key, value in overrides.items():
        try:
            taken[key] = _converted(key, value)
        except ValueError as problem:
            problems.append(str(problem))
    return merged({}, taken), problems


def _converted(key: str, value: Any) -> Any:
    if key not in _TYPES:
        raise ValueError(f"delivery has no key {key!r:.60}; expected one of {', '.join(_TYPES)}")
    if value is None:
        return None
    try:
        converted = msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as problem:
        raise ValueError(f"{key} {value!r:.60}: {lowered(problem)}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError(f"{key} {converted}: expected a finite number")
    return converted
