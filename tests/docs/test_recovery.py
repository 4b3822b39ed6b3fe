"""The page of failures names alerts that ring and tests that are there."""

from __future__ import annotations

import re
from typing import Final

import yaml

from tests.docs.blocks import ROOT

PAGE: Final = (ROOT / "docs" / "recovery.md").read_text()


def test_the_alerts_that_it_names_are_those_that_ship() -> None:
    rules = [path.read_text() for path in (ROOT / "deploy" / "prometheus").glob("*.y*ml")]
    groups = [group for text in rules for group in (yaml.safe_load(text) or {}).get("groups", [])]
    shipped = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    named = set(re.findall(r"`(Pushpull\w+)`", PAGE))

    assert len(named) > 8
    assert named <= shipped


def test_the_tests_that_it_names_are_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))

    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
