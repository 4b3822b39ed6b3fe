"""The rules of delivery, pure: no asyncio, no redis, no starlette, no clock and no randomness of its own."""
