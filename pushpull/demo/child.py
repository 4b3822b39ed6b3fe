"""A process of our own that reads orders until there are no more. Imports next to nothing, as its children do too."""

from __future__ import annotations

import asyncio
from typing import Final

END_S: Final = 10.0


async def hang_up(process: asyncio.subprocess.Process) -> None:
    """Close what `process` reads from, which it takes as the end; end it when it does not. Returns when it is gone."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
