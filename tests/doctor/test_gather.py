"""What is read of the machine, from files as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushpull.doctor import gather
from pushpull.doctor.gather import machine_of, service_at
from pushpull.errors import ConfigError
from pushpull.settings import Auth, Redis, Server, Settings
from pushpull.store.address import parse
from pushpull.store.examination import of_address

FILES = {
    "proc/meminfo": "MemTotal:       16384000 kB\nMemFree:         1000 kB\n",
    "proc/sys/net/core/somaxconn": "128\n",
    "proc/sys/vm/overcommit_memory": "0\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    "sys/fs/cgroup/memory.max": "max\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "root"


def of(data_dir: Path) -> Settings:
    return Settings(server=Server(data_dir=str(data_dir)))


def test_the_kernels_files_are_read(root: Path, tmp_path: Path) -> None:
    found = machine_of(of(tmp_path), {}, root=root)

    assert (found.somaxconn, found.overcommit, found.huge_pages) == (128, 0, "always")
    assert found.memory_bytes == 16_384_000 * 1024
    assert found.cores >= 1


def test_a_containers_memory_is_what_it_may_use(root: Path, tmp_path: Path) -> None:
    (root / "sys/fs/cgroup/memory.max").write_text("536870912\n")

    assert machine_of(of(tmp_path), {}, root=root).memory_bytes == 512 * 1024**2


def test_what_a_system_does_not_tell_is_not_known(tmp_path: Path) -> None:
    found = machine_of(of(tmp_path), {}, root=tmp_path / "nothing")

    assert (found.memory_bytes, found.somaxconn, found.overcommit, found.huge_pages) == (None, None, None, None)


def test_a_data_directory_that_is_a_file_is_no_use(root: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    found = machine_of(of(tmp_path / "data" / "deeper"), {}, root=root)

    assert found.data_dir_problem == f"{tmp_path / 'data'} is not a directory"


def test_a_data_directory_that_is_still_to_be_made_is_fine_and_is_not_made(root: Path, tmp_path: Path) -> None:
    found = machine_of(of(tmp_path / "data" / "deeper"), {}, root=root)

    assert found.data_dir_problem == ""
    assert found.free_bytes
    assert not (tmp_path / "data").exists()


def test_a_server_to_start_is_looked_for_where_none_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise ConfigError("no Redis server >= 7.0 to start")

    monkeypatch.setattr(gather, "find_binary", none)

    assert machine_of(of(tmp_path), {}, root=root).redis_problem == "no Redis server >= 7.0 to start"
    assert machine_of(of(tmp_path), {}, redis_runs=True, root=root).redis_problem == ""
    named = Settings(server=Server(data_dir=str(tmp_path)), redis=Redis(url="redis://h:1"))
    assert machine_of(named, {}, root=root).redis_problem == ""


def test_secrets_that_others_can_read_are_named(root: Path, tmp_path: Path) -> None:
    for name, mode in (("jwt_secret", 0o640), ("api_key", 0o600), ("pushpull.toml", 0o644)):
        (tmp_path / name).write_text("x")
        os.chmod(tmp_path / name, mode)
    settings = Settings(server=Server(data_dir=str(tmp_path)), auth=Auth(api_keys=("k",)))
    file = tmp_path / "pushpull.toml"
    origins = {"auth.api_keys": f"file {file}", "auth.jwt_secret": f"file {file} (jwt_secret_file)"}

    found = machine_of(settings, origins, root=root)

    assert found.readable == (str(tmp_path / "jwt_secret"), str(file))


def test_a_settings_file_without_a_secret_may_be_read(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text("x")
    os.chmod(file, 0o644)

    assert machine_of(of(tmp_path), {"server.port": f"file {file}"}, root=root).readable == ()


def test_a_service_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "SERVICE_RETRY_S", 0.1)

    found = service_at("http://127.0.0.1:1", "key")

    assert found.problem == "no answer from http://127.0.0.1:1: ConnectError"
    assert found.nodes is None


@pytest.mark.parametrize(
    ("url", "hosts", "tls", "password"),
    [
        ("redis://:pass@h:1/0", ("h",), False, True),
        ("rediss://h:1", ("h",), True, False),
        ("unix:///run/redis.sock", ("",), False, False),
        ("rediss+cluster://user:pass@a:1,b:2", ("a", "b"), True, True),
        ("redis+sentinel://:pass@a:1,b:2/main", ("a", "b"), False, True),
        ("rediss+sentinel://a:1/main", ("a",), True, False),
    ],
)
def test_where_redis_is_and_how_it_is_entered_is_seen_in_its_url(
    url: str, hosts: tuple[str, ...], tls: bool, password: bool
) -> None:
    found = of_address(parse(url))

    assert (found.hosts, found.tls, found.password) == (hosts, tls, password)
