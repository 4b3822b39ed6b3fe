"""Every block of code in the README and in docs/: run beside a service, loaded, parsed, or excused with a reason.

How to write one is told in README.md of this folder.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from pushpull.config import load
from pushpull.errors import ConfigError
from scripts.documenting.commands_page import contexts
from tests.docs.blocks import PAGES, ROOT, Block, blocks_of, console_parts, every_block
from tests.docs.session import RUN, fits, furnish, run, steps_of
from tests.e2e.service import serving, settings_of
from tests.servers import RedisServer

LANGUAGES: Final = {*RUN, "toml", "json", "yaml", "js", "html", "text", "ini", "nginx", "xml", "promql"}
"""What a block may be. Those after `yaml` have tests of their own, or nothing that could be run."""

REASONS: Final = ("needs ", "takes ", "part of ", "tests/")
MADE: Final = "deploy/secrets/"
"""What deploy/make-secrets makes; tests/deploy/test_compose.py looks after the names."""

RUNNABLE: Final = [page for page in PAGES if any(steps_of(list(blocks_of(page))))]


def named(block: Block) -> str:
    return block.place


# --------------------------------------------------------------------------------------------- what is run


@pytest.mark.parametrize("page", RUNNABLE)
async def test_what_a_page_says_to_type_does_what_it_says(
    page: str, redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    steps = list(steps_of(list(blocks_of(page))))
    furnish(tmp_path, redis_server.socket_path)
    async with serving(settings_of(server={"console": True}), redis_url) as service:
        printed = await run(steps, tmp_path, service.url.removeprefix("http://"))

    for step, output in zip(steps, printed, strict=True):
        if step.prints is not None:
            assert fits(output, step.prints), f"{step.block.place}: {step.script}\nprinted\n{output}"
        if step.block.answer is not None:
            shown, said = json.loads(step.block.answer), json.loads(output.splitlines()[-1])
            assert shape(shown) == shape(said), step.block.place


def shape(value: Any) -> Any:
    """The names in a JSON value, as deep as they go; lists and values are only told apart."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [] if isinstance(value, list) else ...


def test_most_pages_with_something_to_type_are_tried() -> None:
    assert {"README.md", "docs/protocol.md", "docs/operations.md"} <= set(RUNNABLE)


# --------------------------------------------------------------------------------------------- what is not


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_in_a_language_that_something_is_done_with(page: str) -> None:
    assert {block.language for block in blocks_of(page)} <= LANGUAGES


@pytest.mark.parametrize("block", [one for one in every_block(*RUN) if one.marking == "not run"], ids=named)
def test_what_is_not_run_says_why_and_names_what_exists(block: Block) -> None:
    assert block.said.startswith(REASONS), f"{block.place}: a reason begins with one of {REASONS}, not {block.said!r}"
    for path in re.findall(r"\btests/[\w/]+\.py", block.said):
        assert (ROOT / path).exists(), f"{block.place}: {path}"
    if block.language == "python":
        compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    for words in command_lines(block):
        check_program(words, block.place)


def test_not_much_is_left_out() -> None:
    shells = every_block("sh", "console")
    left_out = [block for block in shells if block.marking == "not run"]

    print(*(f"{block.place}: {block.said}" for block in left_out), sep="\n")  # shown by -rP
    assert len(left_out) < len(shells) / 2


def command_lines(block: Block) -> Iterator[list[str]]:
    """The words of each simple command in a block for a shell."""
    text = block.text
    if block.language == "console":
        text = "\n".join(command for command, _ in console_parts(text))
    for line in re.split(r"\n|&&|\|\|?|;", text.replace("\\\n", " ")):
        if words := _words(line):
            yield words


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # the middle of a quoted text of several lines
        return []
    while words and (re.fullmatch(r"\w+=.*", words[0]) or words[0] == "sudo"):
        words = words[1:]
    return words


def check_program(words: list[str], place: str) -> None:
    """Fail where a command or an option of ours, or a file of the repository, is not there."""
    program, *rest = words
    if program.rpartition("/")[2] == "pushpull":
        check_options(rest, place)
    for word in (word for word in words if MADE not in word):
        if re.match(r"(\./)?(scripts|examples|config|deploy|bench|tests)/[\w./-]+$", word) and "--write" not in words:
            parent = (ROOT / word.removeprefix("./")).parent
            assert (ROOT / word.removeprefix("./")).exists() or (parent.exists() and "--" in " ".join(words)), (
                f"{place}: {word} does not exist"
            )


def check_options(arguments: list[str], place: str) -> None:
    known = {context.command_path.removeprefix("pushpull "): context.command for context in contexts()}
    plain = [word for word in arguments if not word.startswith("-")]
    if not plain:
        return
    name = " ".join(plain[:2]) if " ".join(plain[:2]) in known else plain[0]
    assert name in known, f"{place}: there is no command {name}"
    options = {option for param in known[name].params for option in (*param.opts, *param.secondary_opts)}
    given = {word.partition("=")[0] for word in arguments if word.startswith("-") and word != "-"}
    assert given <= options | {"--help", "-h", "--version"}, f"{place}: pushpull {name} has no {given - options}"


# ------------------------------------------------------------------------------------------- settings and data


@pytest.mark.parametrize("block", [one for one in every_block("toml") if one.marking != "not run"], ids=named)
def test_settings_that_are_shown_are_taken(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text(block.text.replace('"…"', f'"{"c2VjcmV0" * 6}"'))
    try:
        load(file)
    except ConfigError as problem:
        pytest.fail(f"{block.place}: {problem}")


@pytest.mark.parametrize("page", PAGES)
def test_json_and_yaml_that_is_shown_can_be_read(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "json" and block.marking != "not run":
            for value in _values(block):
                json.loads(value)
        if block.language == "yaml" and block.marking != "not run" and not block.from_a_file:
            list(yaml.safe_load_all(block.text))


def _values(block: Block) -> list[str]:
    """A block is one value, or one a line."""
    try:
        json.loads(block.text)
    except ValueError:
        return [line for line in block.text.splitlines() if line.strip()]
    return [block.text]


# ------------------------------------------------------------------------------------------- the test's own rules


@pytest.mark.parametrize(
    ("printed", "shown"),
    [("stored as 3-99", "stored as 3-…"), ("a\nb\nc", "a\n…\nc"), ("same", "same"), ("", "")],
)
def test_dots_stand_for_anything(printed: str, shown: str) -> None:
    assert fits(printed, shown)


@pytest.mark.parametrize(("printed", "shown"), [("stored as 4-99", "stored as 3-…"), ("more", ""), ("a\nc", "a\nb…")])
def test_all_else_must_be_printed_as_shown(printed: str, shown: str) -> None:
    assert not fits(printed, shown)


@pytest.mark.parametrize(
    "line", ["pushpull sned hello hi", ".venv/bin/pushpull token --tll 5 alice", "./scripts/strat", "FOO=1 pushpull x"]
)
def test_a_slip_in_what_is_not_run_is_found(line: str) -> None:
    (words,) = command_lines(Block("page.md", 1, "sh", line))

    with pytest.raises(AssertionError, match=r"page\.md:1"):
        check_program(words, "page.md:1")


async def test_a_step_that_fails_is_named(redis_server: RedisServer, tmp_path: Path) -> None:
    furnish(tmp_path, redis_server.socket_path)
    steps = list(steps_of([Block("page.md", 7, "sh", "true\n"), Block("page.md", 9, "sh", "echo here; false\n")]))

    with pytest.raises(AssertionError, match=r"page\.md:9 failed:(?s:.)*here"):
        await run(steps, tmp_path, "127.0.0.1:1")


async def test_what_never_says_what_it_should_fails(redis_server: RedisServer, tmp_path: Path) -> None:
    furnish(tmp_path, redis_server.socket_path)
    steps = list(steps_of([Block("page.md", 3, "sh", "echo other\n", "stops after", "ready")]))

    with pytest.raises(AssertionError, match="never said: ready"):
        await run(steps, tmp_path, "127.0.0.1:1")


async def test_what_runs_on_is_there_for_the_next_block_and_gone_at_the_end(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    furnish(tmp_path, redis_server.socket_path)
    blocks = [
        Block("page.md", 1, "sh", "echo $BASHPID >pid; echo ready; sleep 60\n", "runs on after", "ready"),
        Block("page.md", 2, "sh", "kill -0 $(cat pid)\n"),
        Block("page.md", 3, "sh", "exit 3\n", "exit status", "3"),
    ]

    await run(list(steps_of(blocks)), tmp_path, "127.0.0.1:1")

    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_click_is_asked_about_every_command() -> None:
    assert all(isinstance(context.command, click.Command) for context in contexts())
    assert len(list(contexts())) > 10
