"""The settings' page: each key of pushpull/settings.py, with what config/pushpull.toml says about it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from pushpull.config import flattened
from pushpull.settings import SECRETS, Settings
from scripts.documenting.prose import escaped
from scripts.documenting.shapes import phrase

_KEY: Final = re.compile(r"^(\w+) = (.*?)(?:  # .*)?$")
_SECTION: Final = re.compile(r"^\[(\w+)\]$")

_HEAD: Final = """\
# Settings

Made from the code and from [config/pushpull.toml](../../config/pushpull.toml), the file to start from. A later source
wins: defaults, the file (`--config`), the environment (`PUSHPULL_SECTION__KEY`), flags of `pushpull serve`; over all of
them, for `[delivery]` alone, lies what was
[put into the running service](../operations.md#changing-delivery-while-it-runs). `pushpull config`
shows what is in force and where it came from. Bytes may also be written as `"128 KiB"`, `"2 MiB"`,
`"1 GiB"`; a list in the environment is separated by commas, or is JSON; one in a file of its own (`jwt_secret_file`,
`api_keys_file`) has one value a line. An unknown key or a bad value stops the start.
"""


def settings_page(file: Path) -> str:
    """The page as Markdown. Raises ValueError where `file` says nothing about a setting."""
    told = dict(_comments(file.read_text()))
    parts = [_HEAD]
    for section, keys in _types().items():
        parts.append(f"\n## {section} {{ #{section} }}\n")
        if section in told:
            parts.append(f"\n{_prose(told[section])}\n")
        parts += [_setting(f"{section}.{key}", schema, told) for key, schema in keys.items()]
    return "".join(parts)


def _types() -> dict[str, dict[str, Any]]:
    """section -> key -> the schema of its value."""
    found: dict[str, dict[str, Any]] = {}
    for section, struct in get_type_hints(Settings).items():
        hints = get_type_hints(struct, include_extras=True)
        found[section] = {key: msgspec.json.schema(hints[key]) for key in struct.__struct_fields__}
    return found


def _setting(name: str, schema: Any, told: dict[str, list[str]]) -> str:
    if name not in told:
        raise ValueError(f"config/pushpull.toml says nothing about {name}: expected a comment above it")
    section, _, key = name.partition(".")
    facts = [f"default {_shown(flattened(Settings())[name])}", phrase(schema)]
    if section == "delivery":
        facts.append("changes live")
    if name in SECRETS:
        facts.append(f"a secret: may come from a file, `{key}_file`")
    return f"\n### {key} {{ #{name} }}\n\n{' · '.join(facts)}\n\n{_prose(told[name])}\n"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple | list):
        return f"`{msgspec.json.encode(default).decode()}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default:_}`" if default >= 10_000 else f"`{default}`"


def _comments(text: str) -> Iterator[tuple[str, list[str]]]:
    """(`section` or `section.key`, the comment lines above it without their #), in the order of the file."""
    section, above = "", list[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            above.append(line[1:].removeprefix(" "))
            continue
        if found := _SECTION.match(line):
            section = found[1]
            if above:
                yield section, above
        elif found := _KEY.match(line):
            yield f"{section}.{found[1]}", above
        elif section and above:  # a comment that stands alone is about its section
            yield section, above
        above = []


def _prose(lines: list[str]) -> str:
    """Paragraphs; a list that was set off by spaces stays as it was set."""
    blocks: list[str] = []
    for line in lines:
        aside = line.startswith("  ")
        if blocks and aside == blocks[-1].startswith("    "):
            blocks[-1] += "\n" + (f"    {line.strip()}" if aside else line)
        else:
            blocks.append(f"    {line.strip()}" if aside else line)
    return "\n\n".join(block if block.startswith("    ") else escaped(textwrap.dedent(block)) for block in blocks)
