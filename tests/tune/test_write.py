"""`--write`: the advised keys change in the settings file, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushpull.config import load
from pushpull.errors import ConfigError
from pushpull.tune.write import write

SAMPLE = Path(__file__).parents[2] / "config" / "pushpull.toml"


def test_only_the_keys_named_change_and_comments_stay(tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text(SAMPLE.read_text())

    write(file, {"push_max_members": 321, "push_window_ms": 333})

    before, after = SAMPLE.read_text().splitlines(), file.read_text().splitlines()
    changed = [line for line, was in zip(after, before, strict=True) if line != was]
    assert [line.partition("#")[0].strip() for line in changed] == ["push_max_members = 321", "push_window_ms = 333"]
    assert load(file)[0].delivery.push_max_members == 321


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    write(tmp_path / "new.toml", {"push_max_members": 50})

    assert load(tmp_path / "new.toml")[0].delivery.push_max_members == 50


def test_a_section_that_is_not_there_is_added(tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text("# ours\n[server]\nport = 9000\n")

    write(file, {"push_max_members": 50})

    assert file.read_text().startswith("# ours\n[server]\nport = 9000\n")
    assert load(file)[0].delivery.push_max_members == 50


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[delivery\n", "is not TOML"),
        ("delivery = 3\n", "delivery is no table"),
        ("[delivery]\nnonsense = 1\n", "nonsense"),
    ],
)
def test_a_file_that_the_service_would_not_take_is_left_as_it_is(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=problem):
        write(file, {"push_max_members": 50})

    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_its_mode_stays(tmp_path: Path) -> None:
    file = tmp_path / "pushpull.toml"
    file.write_text("")
    file.chmod(0o640)

    write(file, {"push_max_members": 50})

    assert file.stat().st_mode & 0o777 == 0o640
