"""The service for the tests of an app: there when the block begins, gone when it ends, and clear when it cannot be."""

from __future__ import annotations

import socket

import pytest

from pushpull import testing
from pushpull.client import Server
from pushpull.errors import ConfigError, PushpullError


def test_a_service_runs_for_as_long_as_the_block_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHPULL_REDIS__URL", "redis://127.0.0.1:1")  # somebody's own, which is not for tests
    with testing.service(limits__members=1) as running:
        with Server(running.url, running.api_key, jwt_secret=running.jwt_secret, retry_s=0.1) as server:
            assert server.put_conversation("tea", members=["ann"])["members"] == 1
            with pytest.raises(PushpullError, match="the limit is 1"):
                server.add_members("tea", ["bob"])
        assert running.api_key not in repr(running)

    with Server(running.url, running.api_key, retry_s=0.1) as server, pytest.raises(PushpullError):
        server.ready()


def test_a_port_that_somebody_else_took_is_not_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        free = testing._free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(testing, "_free_port", lambda: next(ports))

        with testing.service() as running:
            assert running.url == f"http://127.0.0.1:{free}"


def test_a_setting_that_is_not_one_says_so() -> None:
    with (
        pytest.raises(ConfigError, match=r"ended before it was ready.*push_max_members"),
        testing.service(delivery__push_max_members="many"),
    ):
        pass
