"""The test servers themselves: what the other tests lean on."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers import RedisServer


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
