"""A Redis Cluster of real servers: primaries that share the slots, each with its replicas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pushpull.redis_server import info_field
from tests.servers.ports import free_port
from tests.servers.server import READY_S, RedisServer, in_sync, wait_until

SLOTS = 16384


class RedisCluster:
    """`primaries` servers that share the slots evenly, each with `replicas` of its own, on TCP ports of the loopback.

    `servers` are all of them, the first primaries first; kill, pause, resume and start one as any RedisServer. Roles
    move with a failover: ask `primaries`, `primary_of`, `replicas_of`; they raise LookupError while nobody can say.
    """

    def __init__(
        self, *, primaries: int = 3, replicas: int = 0, appendonly: bool = False, **options: str | int
    ) -> None:
        self._primaries = primaries
        self.servers = [
            RedisServer(
                **{
                    "appendonly": appendonly,
                    "port": free_port(),
                    "cluster_enabled": "yes",
                    "cluster_port": free_port(),
                    "cluster_node_timeout": 2000,
                    "cluster_require_full_coverage": "no",
                    "cluster_replica_validity_factor": 0,
                    "cluster_allow_replica_migration": "no",
                    "repl_diskless_sync_delay": 0,
                    **options,
                }  # type: ignore[arg-type]
            )
            for _ in range(primaries * (1 + replicas))
        ]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def start(self) -> None:
        """Start all and wait until each of them calls the cluster complete, its replicas in sync."""
        for server in self.servers:
            server.start()
        first, bus = self.servers[0], "cluster-port"
        for i, server in enumerate(self.servers):
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", str(i + 1))
            if i < self._primaries:
                low, high = (SLOTS * n // self._primaries for n in (i, i + 1))
                server.ask("CLUSTER", "ADDSLOTSRANGE", str(low), str(high - 1))
            if server is not first:
                first.ask("CLUSTER", "MEET", "127.0.0.1", str(server.port), str(server._options[bus]))
        wait_until(lambda: all(len(self._known(each)) == len(self.servers) for each in self.servers), "all have met")
        for i, server in enumerate(self.servers[self._primaries :]):
            primary = self.servers[i % self._primaries].ask("CLUSTER", "MYID")
            # Refused until they know each other by name.
            wait_until(partial(_accepts, server, "CLUSTER", "REPLICATE", primary), "a replica knows its primary")
        wait_until(lambda: all(each.role() == "slave" for each in self.servers[self._primaries :]), "replicas follow")
        self.wait_ready()

    def wait_ready(self, *, within_s: float = READY_S) -> None:
        """Wait until every server that lives calls the cluster up, and every replica is in sync with its primary."""
        wait_until(lambda: all(_is_up(server) for server in self.living()), "the cluster is up", within_s=within_s)

    def living(self) -> list[RedisServer]:
        return [server for server in self.servers if server.alive]

    def primaries(self) -> list[RedisServer]:
        """Those that serve slots now, by the cluster's own word; a failed one does not count."""
        ports = {port for port, flags, slots in self._table() if slots and not flags & _FAILED and "master" in flags}
        return [server for server in self.servers if server.port in ports]

    def primary_of(self, key: str) -> RedisServer:
        """Who serves `key` (a key or a channel) now."""
        slot = int(self._someone().ask("CLUSTER", "KEYSLOT", key))
        ports = [port for port, flags, slots in self._table() if slot in slots and not flags & _FAILED]
        if not ports:
            raise LookupError(f"nobody serves slot {slot}")
        return next(server for server in self.servers if server.port == ports[0])

    def replicas_of(self, primary: RedisServer) -> list[RedisServer]:
        return [
            server
            for server in self.living()
            if info_field(server.ask("INFO", "replication"), "master_port") == str(primary.port)
        ]

    def move_slot(self, key: str, target: RedisServer) -> None:
        """Move the slot of `key` with all it holds to another primary, as an operator would."""
        source = self.primary_of(key)
        slot = source.ask("CLUSTER", "KEYSLOT", key)
        source_id, target_id = (server.ask("CLUSTER", "MYID") for server in (source, target))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        for name in source.ask_for_list("CLUSTER", "GETKEYSINSLOT", slot, "1000"):
            answer = source.ask("MIGRATE", "127.0.0.1", str(target.port), name, "0", "5000")
            assert answer == "OK", answer
        for server in (target, source, *self.primaries()):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def remove(self) -> None:
        for server in self.servers:
            server.remove()

    def _someone(self) -> RedisServer:
        """One who answers: a paused server would not. Asked with little patience."""
        for server in self.living():
            if server._answers():
                return server
        raise LookupError("nobody of the cluster answers")

    def _table(self) -> list[tuple[int, set[str], set[int]]]:
        return self._known(self._someone())

    @staticmethod
    def _known(server: RedisServer) -> list[tuple[int, set[str], set[int]]]:
        """Port, flags and slots of each member, as `server` sees them."""
        rows = [line.split() for line in server.ask("CLUSTER", "NODES").splitlines()]
        return [
            (int(row[1].partition("@")[0].rpartition(":")[2]), set(row[2].split(",")), _slots(row[8:])) for row in rows
        ]


def _accepts(server: RedisServer, *command: str) -> bool:
    return server.ask(*command) == "OK"


_FAILED = {"fail", "fail?", "handshake", "noaddr"}


def _slots(ranges: Sequence[str]) -> set[int]:
    """`["0-99", "7", "[93-<-…]"]` as numbers, those on the move left out."""
    found: set[int] = set()
    for each in ranges:
        if not each.startswith("["):
            low, _, high = each.partition("-")
            found.update(range(int(low), int(high or low) + 1))
    return found


def _is_up(server: RedisServer) -> bool:
    if "cluster_state:ok" not in server.ask("CLUSTER", "INFO"):
        return False
    return in_sync(server)
