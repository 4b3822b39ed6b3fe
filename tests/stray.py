"""What of Redis holds a word: for tests of what is to be gone from it."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from tests.servers import RedisServer


def holding(servers: Sequence[RedisServer], word: str) -> list[str]:
    """The keys whose name or whose bytes, as Redis would write them to disk, hold `word`.

    All of these servers together; they must run with `rdbcompression no`, or the bytes would hide it.
    """
    found: list[str] = []
    wanted = word.encode()
    for server in servers:
        assert server.ask_for_list("CONFIG", "GET", "rdbcompression") == ["rdbcompression", "no"]
        with redis.Redis(unix_socket_path=str(server.socket_path), protocol=2) as asking:
            found += [key.decode() for key in asking.keys("*") if wanted in key or wanted in (asking.dump(key) or b"")]
    return found
