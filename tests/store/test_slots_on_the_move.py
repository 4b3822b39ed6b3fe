"""Commands that must be confirmed, while the slots they are for go to another server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from pushpull import settings
from pushpull.model import Cid, Role, Sent
from pushpull.store import Store
from pushpull.store.checks import replicated
from pushpull.store.connection import connect
from pushpull.store.servers import Servers
from tests.servers import RedisCluster
from tests.store.conftest import ALICE
from tests.store.drafts import draft

CONFIRMED = replicated(0)  # by WAIT, which asks for nobody here


@pytest.fixture
def own_cluster(start_cluster: Callable[..., RedisCluster]) -> RedisCluster:
    return start_cluster(primaries=2)


@pytest.fixture
async def servers(own_cluster: RedisCluster) -> AsyncIterator[Servers]:
    found = connect(own_cluster.url)
    await found.open()
    yield found
    await found.aclose()


async def test_a_write_that_is_asked_of_the_slots_next_server_is_confirmed_there(
    own_cluster: RedisCluster, servers: Servers
) -> None:
    source = own_cluster.primary_of("{room}a")
    target = next(server for server in own_cluster.servers if server is not source)
    slot = source.ask("CLUSTER", "KEYSLOT", "{room}a")
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))

    replies = await servers.exchange([("INCR", "{room}a"), ("INCR", "{room}a")], CONFIRMED)

    assert replies == [1, 2]
    assert "{room}a" in target.ask_for_list("CLUSTER", "GETKEYSINSLOT", slot, "10")


async def test_sends_to_others_are_stored_though_the_last_one_of_their_batch_has_moved(
    own_cluster: RedisCluster, servers: Servers
) -> None:
    store = Store(servers, settings.Settings(redis=settings.Redis(prefix="pp:")), barrier=CONFIRMED)
    source = own_cluster.servers[0]
    rooms = [Cid(f"room{i}") for i in range(8)]
    stays, goes = [cid for cid in rooms if own_cluster.primary_of(f"{{c:{cid}}}") is source][:2]
    for cid in (stays, goes):
        await store.conversations.put(cid, {}, members=[(ALICE, Role.MEMBER)])
        await store.log.append([draft("m0", cid=cid)])
    own_cluster.move_slot(f"{{c:{goes}}}", own_cluster.servers[1])

    sent = await store.log.append([draft("m1", cid=stays), draft("m1", cid=goes)])

    assert all(isinstance(each, Sent) for each in sent), sent
