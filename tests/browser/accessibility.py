"""What axe finds in a page that stands in the way of people: contrast, names, roles, structure."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

IN_THE_WAY = ("serious", "critical")


async def serious_violations(page: Page, *rules: str) -> list[str]:
    """Each as "rule (impact): where"; empty: none. `rules`: only these are asked for, which is faster."""
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found: list[dict[str, Any]] = (await Axe().run(page, options=options)).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {', '.join(str(node['target']) for node in rule['nodes'])}"
        for rule in found
        if rule["impact"] in IN_THE_WAY
    ]
