"""The parts of a node, as those that work with all of them get them."""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.node.abroad import Abroad
from pushpull.node.allowances import Allowances
from pushpull.node.appender import Appender
from pushpull.node.background import Background
from pushpull.node.cursor_news import CursorNews
from pushpull.node.cursor_writer import CursorWriter
from pushpull.node.feeds import Feeds
from pushpull.node.hub import Hub
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.peers import Peers
from pushpull.node.policy import Policy
from pushpull.node.receipts import Receipts
from pushpull.node.revocations import Revocations
from pushpull.node.signals import Signals
from pushpull.node.spans import Spans
from pushpull.settings import Settings
from pushpull.store.store import Store


@dataclass(slots=True, kw_only=True)
class Parts:
    node_id: str
    policy: Policy
    settings: Settings
    store: Store
    metrics: Metrics
    background: Background
    peers: Peers
    allowances: Allowances
    feeds: Feeds
    reader: LogReader
    hub: Hub
    appender: Appender
    cursors: CursorWriter
    cursor_news: CursorNews
    revocations: Revocations
    signals: Signals
    receipts: Receipts
    abroad: Abroad
    draining: bool = False
    spans: Spans | None = None  # None: nothing is traced
