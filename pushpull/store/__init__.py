"""The only place that knows Redis: logs, cursors, members, conversations, presence, doorbells.

`Store.open` checks the server and gives the parts; every call raises errors of `pushpull.errors` alone.
"""

from pushpull.store.bells import Bells
from pushpull.store.conversations import Conversations
from pushpull.store.cursors import CursorTable
from pushpull.store.log import Log
from pushpull.store.members import Members
from pushpull.store.nodes import Nodes
from pushpull.store.pending import Pending
from pushpull.store.presence import Presence
from pushpull.store.store import Store
from pushpull.store.values import (
    Announcement,
    Bell,
    ControlSubscribed,
    CursorMove,
    Health,
    LogRead,
    MemberCounts,
    MemberRow,
    NodeRecord,
    Opened,
    PendingRow,
    PendingSummary,
    ProbeEcho,
    ReadRequest,
    Receipts,
    Ring,
    RowRequest,
    SessionRecord,
    Standing,
    Subscribed,
    Verdict,
)

__all__ = [
    "Announcement",
    "Bell",
    "Bells",
    "ControlSubscribed",
    "Conversations",
    "CursorMove",
    "CursorTable",
    "Health",
    "Log",
    "LogRead",
    "MemberCounts",
    "MemberRow",
    "Members",
    "NodeRecord",
    "Nodes",
    "Opened",
    "Pending",
    "PendingRow",
    "PendingSummary",
    "Presence",
    "ProbeEcho",
    "ReadRequest",
    "Receipts",
    "Ring",
    "RowRequest",
    "SessionRecord",
    "Standing",
    "Store",
    "Subscribed",
    "Verdict",
]
