"""Every HTTP call of the contract, one table for each resource."""

from __future__ import annotations

from typing import Final

from pushpull.web.endpoint import Endpoint
from pushpull.web.routes import (
    conversations,
    cursors,
    deletions,
    members,
    messages,
    moving,
    notifications,
    operations,
    overview,
    presence,
    trace,
    users,
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *conversations.ENDPOINTS,
    *members.ENDPOINTS,
    *messages.ENDPOINTS,
    *moving.ENDPOINTS,
    *cursors.ENDPOINTS,
    *presence.ENDPOINTS,
    *trace.ENDPOINTS,
    *notifications.ENDPOINTS,
    *users.ENDPOINTS,
    *deletions.ENDPOINTS,
    *operations.ENDPOINTS,
    *overview.ENDPOINTS,
)
