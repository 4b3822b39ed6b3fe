"""The test servers themselves: what the other tests lean on."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers import RedisCluster, RedisServer, SentinelSetup, wait_until


def test_a_test_gets_an_empty_server(redis_url: str, redis_server: RedisServer) -> None:
    assert redis_url == redis_server.url
    assert redis_server.ask("DBSIZE") == "0"
    redis_server.ask("SET", "left", "over")


def test_what_the_last_test_left_is_gone(redis_url: str, redis_server: RedisServer) -> None:
    assert redis_server.ask("DBSIZE") == "0"


def test_a_server_with_an_append_only_file_keeps_its_data_over_a_kill(
    start_redis: Callable[..., RedisServer],
) -> None:
    server = start_redis(appendonly=True, appendfsync="always")
    server.ask("SET", "key", "value")

    server.kill()
    server.start()

    assert server.ask("GET", "key") == "value"


def test_no_tcp_port_is_opened_unless_asked_for(redis_server: RedisServer) -> None:
    assert redis_server.ask("INFO", "server").count("tcp_port:0") == 1


def test_a_replica_takes_over_where_the_primary_of_a_shard_is_killed(
    start_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = start_cluster(replicas=1)
    primary = cluster.primary_of("{room}")
    assert len(cluster.primaries()) == 3
    assert primary.ask("SET", "{room}", "value") == "OK"
    primary.ask("WAIT", "1", "1000")

    primary.kill()
    wait_until(lambda: cluster.primary_of("{room}") is not primary, "a replica took over")

    assert cluster.primary_of("{room}").ask("GET", "{room}") == "value"
    primary.start()
    cluster.wait_ready()
    assert (primary.role(), len(cluster.replicas_of(cluster.primary_of("{room}")))) == ("slave", 1)


def test_the_sentinels_replace_a_primary_that_hangs(start_sentinel: Callable[..., SentinelSetup]) -> None:
    setup = start_sentinel(replicas=1)
    primary = setup.primary()

    primary.pause()
    wait_until(lambda: setup.primary() is not primary, "a replica took over")

    primary.resume()
    setup.wait_ready()
    assert (setup.primary().role(), setup.replicas()) == ("master", [primary])
