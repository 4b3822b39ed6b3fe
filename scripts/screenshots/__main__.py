"""Take the pictures of the pages that are named, or of all."""

from __future__ import annotations

import argparse
import asyncio
from importlib import import_module

from scripts.screenshots.stage import staged

PAGES = ("console", "demo")
"""Modules of this package."""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description="Take the pictures in docs/images.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"of {', '.join(PAGES)}; all unless said")
    for name in parser.parse_args().pages or PAGES:
        if name not in PAGES:
            parser.error(f"page {name!r} is not one of {', '.join(PAGES)}")
        page = import_module(f"scripts.screenshots.{name}")
        async with staged(**page.SETTINGS) as stage:
            await page.shoot_all(stage)


asyncio.run(main())
