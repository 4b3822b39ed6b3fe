"""The metrics are a contract: docs/monitoring.md against a service that runs, in both directions."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.service import ServiceProcess

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| `((?:pushpull|process)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)

Contract = dict[str, tuple[str, frozenset[str]]]
"""Name -> its type, its labels."""


def written() -> Contract:
    rows = ROW.findall((ROOT / "docs" / "monitoring.md").read_text())
    assert len(rows) == len({name for name, _, _ in rows}), "a metric has two rows"
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def shown(text: str) -> Contract:
    return {name_of(family): (family.type, labels_of(family)) for family in text_string_to_metric_families(text)}


def name_of(family: Metric) -> str:
    """As the samples say it: the parser takes a counter's `_total` off."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(family: Metric) -> frozenset[str]:
    return frozenset(label for sample in family.samples for label in sample.labels) - {"le"}


@pytest.fixture
def scraped(redis_url: str, tmp_path: Path) -> Iterator[str]:
    """Where a node can be asked."""
    process = ServiceProcess(tmp_path, redis_url)
    process.start()
    try:
        yield process.url
    finally:
        process.kill()


async def test_the_list_of_metrics_is_what_a_running_service_shows(scraped: str) -> None:
    documented = written()
    async with asyncio.timeout(20):
        while True:
            text = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{scraped}/metrics").read().decode())
            if 'pushpull_redis_memory_bytes{server="' in text:
                break
            await asyncio.sleep(0.2)

    assert shown(text) == documented
