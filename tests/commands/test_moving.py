"""`pushpull export` and `pushpull import`: what they write, say and leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from pushpull.cli import main
from pushpull.client import Server
from tests.e2e.service import API_KEY, ServiceProcess
from tests.servers import RedisServer


@pytest.fixture(scope="module")
def process(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with one conversation, `tea`, which no test here changes."""
    redis_server.ask("FLUSHALL")
    running = ServiceProcess(tmp_path_factory.mktemp("moving"), redis_server.url)
    running.start()
    with Server(running.url, API_KEY) as server:
        server.put_conversation("tea", members=["alice", "bob"])
        for n in range(3):
            server.send("tea", {"n": n}, sender="alice")
        server.redact("tea", 2)
    yield running
    running.kill()


class Shell:
    def __init__(self, url: str, directory: Path) -> None:
        self._flags = ["--url", url, "--api-key", API_KEY]
        self.directory = directory

    def run(self, *words: str, text: bytes | None = None) -> Result:
        return CliRunner().invoke(main, [*words, *self._flags], input=text)


@pytest.fixture
def shell(process: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(process.url, tmp_path)


def test_an_export_goes_to_standard_output_line_by_line(shell: Shell) -> None:
    done = shell.run("export", "tea")
    kinds = [orjson.loads(line)["type"] for line in done.stdout_bytes.splitlines()]
    assert (done.exit_code, done.stderr) == (0, "")
    assert kinds == ["conversation", "message", "redacted", "message", "message", "member", "member", "end"]


def test_an_export_to_a_file_says_how_much_it_was(shell: Shell) -> None:
    done = shell.run("export", "tea", "-o", "tea.ndjson")
    assert (done.exit_code, done.output) == (0, "tea: 3 messages, 1 redacted, 2 members, written to tea.ndjson\n")
    as_json = shell.run("export", "tea", "-o", "tea.ndjson", "--json")
    assert orjson.loads(as_json.output) == {
        "cid": "tea",
        "file": "tea.ndjson",
        "messages": 3,
        "redacted": 1,
        "members": 2,
    }
    assert [path.name for path in shell.directory.iterdir()] == ["tea.ndjson"]


def test_an_export_that_failed_leaves_no_file_and_no_older_one_touched(shell: Shell) -> None:
    (shell.directory / "old.ndjson").write_text("old")
    done = shell.run("export", "nowhere", "-o", "old.ndjson")
    assert (done.exit_code, done.output) == (1, "error: conversation nowhere does not exist\n")
    assert (shell.directory / "old.ndjson").read_text() == "old"
    assert len(list(shell.directory.iterdir())) == 1


def test_lines_and_json_do_not_share_standard_output(shell: Shell) -> None:
    assert shell.run("export", "tea", "--json").exit_code == 2


def test_a_file_becomes_a_conversation_under_another_name(shell: Shell) -> None:
    shell.run("export", "tea", "-o", "tea.ndjson")
    made, again = [shell.run("import", "tea.ndjson", "--as", "coffee") for _ in range(2)]
    assert (made.exit_code, made.output) == (0, "coffee: 3 messages, 1 redacted, 2 members, head 4\n")
    assert again.output == "coffee: 3 messages, 1 redacted, 2 members, head 4 (was there already)\n"
    copied = shell.run("export", "coffee").stdout_bytes.splitlines()
    assert copied[1:-1] == (shell.directory / "tea.ndjson").read_bytes().splitlines()[1:-1]


def test_what_comes_on_standard_input_becomes_one_too(shell: Shell) -> None:
    lines = shell.run("export", "tea").stdout_bytes
    done = shell.run("import", "--as", "cocoa", "--json", text=lines)
    assert orjson.loads(done.output) == {
        "cid": "cocoa",
        "made": True,
        "head": 4,
        "floor": 1,
        "count": 3,
        "messages": 3,
        "redacted": 1,
        "members": 2,
        "added": 6,
    }


def test_a_file_goes_under_the_name_it_holds(shell: Shell) -> None:
    lines = shell.run("export", "tea").stdout_bytes
    done = shell.run("import", text=lines)
    assert done.exit_code == 1
    assert done.output == ("error: conversation tea exists, and was not made of this file: an import makes a new one\n")


@pytest.mark.parametrize("text", [b"", b"{}\n", b'{"type":"conversation","format":1}\n', b"[1]\n", b"nonsense\n"])
def test_a_file_that_names_no_conversation_needs_a_name(shell: Shell, text: bytes) -> None:
    done = shell.run("import", text=text)
    assert done.exit_code == 2
    assert "say under which name to make it, with --as CID" in done.output


def test_a_file_that_is_not_there_is_wrong_usage(shell: Shell) -> None:
    assert shell.run("import", "missing.ndjson").exit_code == 2


def test_a_file_that_was_cut_off_is_noticed_and_another_begins_anew_when_told_to(shell: Shell) -> None:
    lines = shell.run("export", "tea").stdout_bytes
    cut = shell.run("import", "--as", "milk", text=lines[: lines.index(b'{"type":"member"')])
    assert (cut.exit_code, cut.output) == (
        1,
        "error: the file ends at line 5, without an 'end': send all of it to go on\n",
    )
    other = b'{"type":"conversation","format":1}\n{"type":"end","messages":0}\n'
    assert "another file is on its way into milk" in shell.run("import", "--as", "milk", text=other).output
    done = shell.run("import", "--as", "milk", "--restart", text=other)
    assert (done.exit_code, done.output) == (0, "milk: 0 messages, 0 members, head 0\n")
