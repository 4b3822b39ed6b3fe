"""An AppendLog whose pipelines are told of in spans."""

from __future__ import annotations

from collections.abc import Sequence

from pushpull.model import Draft
from pushpull.node.appender import AppendLog, Outcome
from pushpull.node.spans import Spans, now_ns


class TracedLog:
    def __init__(self, log: AppendLog, spans: Spans) -> None:
        self._log = log
        self._spans = spans

    async def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        begun_ns = now_ns()
        outcomes = await self._log.append(drafts)
        self._spans.appended(outcomes, begun_ns)
        return outcomes
