"""Real servers for tests: Redis alone, as a cluster, watched by sentinels; nginx. Nothing of them is left behind."""

from tests.servers.cluster import RedisCluster
from tests.servers.nginx import Nginx
from tests.servers.ports import free_port
from tests.servers.sentinel import SentinelSetup
from tests.servers.server import RedisServer, server_binary, wait_until

__all__ = ["Nginx", "RedisCluster", "RedisServer", "SentinelSetup", "free_port", "server_binary", "wait_until"]
