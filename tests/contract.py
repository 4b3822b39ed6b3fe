"""The metrics of the contract: as docs/monitoring.md lists them, and as a service shows them."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parent.parent / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `((?:pushpull|process)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)

Contract = dict[str, tuple[str, frozenset[str]]]
"""Name -> its type, its labels."""


def written() -> Contract:
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) == len({name for name, _, _ in rows}), "a metric has two rows"
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def shown(text: str) -> Contract:
    return {name_of(family): (family.type, labels_of(family)) for family in text_string_to_metric_families(text)}


def name_of(family: Metric) -> str:
    """As the samples say it: the parser takes a counter's `_total` off."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(family: Metric) -> frozenset[str]:
    return frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
