"""`redis.url` taken apart."""

from __future__ import annotations

from pushpull.store.address import parse


def test_a_cluster_has_the_same_login_for_each_host() -> None:
    found = parse("redis+cluster://me:p%40ss@a:1,[::1]:2")
    assert [(each["host"], each["port"], each["password"]) for each in found.options] == [
        ("a", 1, "p@ss"),
        ("::1", 2, "p@ss"),
    ]


def test_the_login_is_the_primarys_and_the_sentinels_have_their_own() -> None:
    found = parse("redis+sentinel://me:secret@a:1,b:2/main/3?sentinel_username=s&sentinel_password=other")
    assert (found.kind, found.name) == ("sentinel", "main")
    assert found.primary == {"username": "me", "password": "secret", "db": 3}
    assert found.options == [
        {"host": host, "port": port, "username": "s", "password": "other"} for host, port in (("a", 1), ("b", 2))
    ]


def test_sentinels_without_a_login_of_their_own_get_none() -> None:
    assert parse("redis+sentinel://:secret@a:1/main").options == [{"host": "a", "port": 1}]


def test_tls_is_for_all_hosts() -> None:
    for url in ("rediss+cluster://a:1", "rediss+sentinel://a:1/main"):
        found = parse(url)
        assert "connection_class" in found.options[0]
    assert "connection_class" in found.primary


def test_nothing_shows_a_password() -> None:
    assert "secret" not in repr(parse("redis+sentinel://:secret@a:1/main?sentinel_password=secret"))
