"""Is this Redis fit to serve: reachable, writable, and set not to throw data away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pushpull.errors import PushpullError
from pushpull.store.keys import Keys
from pushpull.store.scripts import Wire
from pushpull.store.values import Health

PROBE_EXPIRES_MS: Final = 60_000


async def check_health(wire: Wire, keys: Keys) -> Health:
    """Ping, write, and ask for the eviction policy; PushpullErrors become words in `detail`."""
    try:
        await wire.command("PING")
    except PushpullError as error:
        return Health(False, False, False, error.message)
    try:
        # Read-only replicas, full disks, full memories and missing replicas all refuse this.
        await wire.command("SET", keys.write_probe(), "1", "PX", PROBE_EXPIRES_MS)
    except PushpullError as error:
        return Health(True, False, True, error.message)
    return await _check_eviction(wire)


async def _check_eviction(wire: Wire) -> Health:
    try:
        memory: Mapping[str, object] = await wire.command("INFO", "memory")
    except PushpullError:
        return Health(True, True, True, "")  # a server that does not say is given the benefit of the doubt
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction" or not int(str(memory.get("maxmemory", 0))):
        return Health(True, True, True, "")
    return Health(True, True, False, f"redis evicts: maxmemory-policy is {policy}, expected noeviction")
