"""The Dockerfile: no engine builds it here, so what it takes along, runs and promises is held against what there is."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys

from pushpull.config import load
from pushpull.settings import Settings
from tests.deploy.shipped import ROOT, stop_s
from tests.e2e.conftest import ServeProcess, serve_process  # noqa: F401 - a fixture of these tests, too
from tests.servers import free_port


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of each instruction, its continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    found = [line.partition(" ") for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def in_context(source: str) -> bool:
    """Whether .dockerignore leaves a file of the repository to the build: the last line that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        if fnmatch.fnmatch(source, pattern) or source == pattern or source.startswith(f"{pattern}/"):
            sent = line.startswith("!")
    return sent


def test_what_it_copies_is_there_and_sent_to_the_build() -> None:
    copied = [rest.split()[:-1] for rest in all_of("COPY") if not rest.startswith("--from=build")]
    sources = [source for several in copied for source in several]

    assert len(sources) == 6
    assert [source for source in sources if not (ROOT / source).exists() or not in_context(source)] == []
    assert [name for name in (".git", "data", "deploy/secrets", "tests") if in_context(name)] == []


def test_it_installs_what_the_package_declares() -> None:
    install, package = (rest for rest in all_of("RUN") if " install " in rest and "pip" in rest)

    assert '".${EXTRAS:+[$EXTRAS]}"' in install
    assert "--no-deps" in package
    assert "EXTRAS=embedded" in all_of("ARG")


def test_its_python_is_pinned_and_one_that_the_package_takes() -> None:
    (image,) = (rest.removeprefix("PYTHON=") for rest in all_of("ARG") if rest.startswith("PYTHON="))

    assert re.fullmatch(r"python:3\.1[1-9]-slim-[a-z]+", image)
    assert all_of("FROM") == ["${PYTHON} AS build", "${PYTHON}"]


def test_its_user_is_nobody_else_s_and_named_by_number() -> None:
    (made,) = (rest for rest in all_of("RUN") if "useradd" in rest)

    assert all_of("USER") == ["10001:10001"]
    assert "--gid 10001" in made
    assert "--uid 10001" in made
    assert "-o pushpull -g pushpull -m 700 /data" in made


def test_its_variables_are_settings() -> None:
    (environ,) = (dict(one.split("=", 1) for one in rest.split()) for rest in all_of("ENV"))
    settings, _ = load(None, environ)

    assert (settings.server.host, settings.server.data_dir) == ("0.0.0.0", all_of("VOLUME")[0])
    assert all_of("EXPOSE") == [str(Settings().server.port)]
    assert [environ["PUSHPULL_CONFIG"]] == [rest.split()[-1] for rest in all_of("COPY") if rest.startswith("config/")]


def test_it_says_how_long_a_stop_takes() -> None:
    told = {int(seconds) for seconds in re.findall(r"--stop-timeout (\d+)", (ROOT / "Dockerfile").read_text())}

    assert all_of("STOPSIGNAL") == ["SIGTERM"]
    assert len(told) == 1
    assert min(told) > stop_s()


def test_the_health_check_tells_a_live_service_from_none(serve_process: ServeProcess) -> None:  # noqa: F811
    (check,) = all_of("HEALTHCHECK")
    program, *arguments = json.loads(check[check.index("CMD") + 3 :])
    assert program == "python"

    def status(port: int) -> int:
        environ = {"PUSHPULL_SERVER__PORT": str(port)}
        return subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, check=False).returncode

    assert (status(serve_process().port), status(free_port())) == (0, 1)
