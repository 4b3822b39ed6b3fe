"""The pages that nobody writes: each is made when the site is built, and no file in docs/."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from scripts.documenting.calls_page import calls_page, openapi
from scripts.documenting.commands_page import commands_page
from scripts.documenting.frames_page import asyncapi, frames_page
from scripts.documenting.outside import ROOT
from scripts.documenting.settings_page import settings_page

MADE: Final[dict[str, Callable[[], str]]] = {
    "reference/settings.md": lambda: settings_page(ROOT / "config" / "pushpull.toml"),
    "reference/commands.md": commands_page,
    "reference/http.md": calls_page,
    "reference/websocket.md": frames_page,
    "reference/asyncapi.json": lambda: json.dumps(asyncapi(), indent=1),
    "reference/openapi.json": lambda: json.dumps(openapi(), indent=1),
}
"""Where it stands on the site -> what makes its text."""
