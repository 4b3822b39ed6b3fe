"""Real servers for tests, alone, as a cluster, and watched by sentinels. Nothing of them is left behind."""

from tests.servers.cluster import RedisCluster
from tests.servers.ports import free_port
from tests.servers.sentinel import SentinelSetup
from tests.servers.server import RedisServer, server_binary, wait_until

__all__ = ["RedisCluster", "RedisServer", "SentinelSetup", "free_port", "server_binary", "wait_until"]
