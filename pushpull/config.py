"""Reading the settings: defaults < file < environment < flags, each value checked, each origin remembered.

Every problem is reported at once, with its place and what was expected, and never with the value of a secret. A
`<key>_file` in any of the three places names a file that holds the key's value, for secrets and for PEM keys.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from pushpull.contradictions import contradictions
from pushpull.errors import ConfigError, lowered
from pushpull.settings import SECRETS, Settings

ENV_PREFIX: Final = "PUSHPULL_"
FROM_FILE: Final = SECRETS | {"auth.public_keys"}

_SIZE = re.compile(r"\s*(\d+)\s*(B|KiB|MiB|GiB)\s*\Z", re.IGNORECASE)
_SIZE_UNITS: Final = {"b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)

Origins = Mapping[str, str]
"""`section.key` -> where its value came from: `default`, `file X`, `env PUSHPULL_…`, `flag --…`."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as someone wrote it, and where. `name` is `section.key`, without `_file`."""

    name: str
    value: Any
    origin: str
    is_text: bool  # of the environment or a file: a string that may stand for a number or a list


class _Problems(list[str]):
    """What is wrong so far; `raise_any` ends the reading when there is something."""

    def raise_any(self) -> None:
        if self:
            many = f"{len(self)} problems in the settings:\n  " if len(self) > 1 else ""
            raise ConfigError(many + "\n  ".join(self))


def load(
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> tuple[Settings, Origins]:
    """The settings in force and where each came from.

    `file` is a TOML file or None; `environ` holds `PUSHPULL_SECTION__KEY` variables (others are ignored); `flags`
    maps `section.key` to a value, None meaning that the flag was not given. Raises ConfigError naming every unknown
    key and bad value.
    """
    problems = _Problems()
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_fields(), "default")
    for given in _all_given(file, environ or {}, flags or {}, problems):
        field_type = _fields().get(given.name)
        if field_type is None:
            problems.append(f"{given.origin}: {_unknown(given.name)}")
            continue
        try:
            values[given.name] = _converted(given, field_type)
            origins[given.name] = given.origin
        except ValueError as problem:
            problems.append(f"{given.origin}: {problem}")
    problems.raise_any()
    settings = _built(values)
    problems.extend(f"{_place(origins, names)}: {text}" for names, text in contradictions(settings))
    problems.raise_any()
    return settings, origins


def flattened(settings: Settings) -> dict[str, Any]:
    """`section.key` -> value, in the order of the settings. Holds secrets: show with `settings.shown_value`."""
    return {name: getattr(getattr(settings, section), key) for name in _fields() for section, key in [name.split(".")]}


def _fields() -> dict[str, Any]:
    """`section.key` -> its type, in order."""
    return {
        f"{section.name}.{field.name}": field.type
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
    }


def _all_given(
    file: str | Path | None, environ: Mapping[str, str], flags: Mapping[str, Any], problems: _Problems
) -> Iterator[_Given]:
    """Everything that was given, weakest first, so that a later one simply replaces an earlier one."""
    raw: list[_Given] = []
    if file is not None:
        raw.extend(_in_file(Path(file), problems))
    for variable in sorted(environ):
        # Without the two underscores it is not meant for here: PUSHPULL_URL is the command line's, and Kubernetes sets
        # PUSHPULL_PORT and more for a service of that name.
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            name = variable.removeprefix(ENV_PREFIX).lower().replace("__", ".", 1)
            raw.append(_Given(name, environ[variable], f"env {variable}", is_text=True))
    for name, value in flags.items():
        if value is not None:
            flag = name.removeprefix("server.").replace(".", "-").replace("_", "-")
            raw.append(_Given(name, value, f"flag --{flag}", is_text=False))
    for given in raw:
        resolved = _resolved(given, problems)
        if resolved is not None:
            yield resolved


def _in_file(path: Path, problems: _Problems) -> Iterator[_Given]:
    try:
        document = tomllib.loads(_text_of(path))
    except tomllib.TOMLDecodeError as problem:
        problems.append(f"file {path}: not TOML: {lowered(problem)}")
        return
    except ValueError as problem:
        problems.append(f"file {path}: {problem}")
        return
    for section, table in document.items():
        if not isinstance(table, dict):
            problems.append(
                f"file {path}: {section!r:.80} is outside any section; expected [section] and keys below it"
            )
            continue
        for key, value in table.items():
            yield _Given(f"{section}.{key}", value, f"file {path}", is_text=False)


def _text_of(path: Path) -> str:
    """What a file holds. Raises ValueError with the reason when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ValueError(f"cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not UTF-8") from None


def _resolved(given: _Given, problems: _Problems) -> _Given | None:
    """`given`, or what the file holds that a `<key>_file` names; None where that file cannot be read."""
    name = given.name.removesuffix("_file")
    if name == given.name or name not in FROM_FILE:
        return given
    origin = f"{given.origin} ({given.name.partition('.')[2]})"
    try:
        text = _text_of(Path(str(given.value))).strip()
        if not text:
            raise ValueError(f"is empty; expected the value of {name}")
    except ValueError as problem:
        problems.append(f"{given.origin}: {given.name} {str(given.value)!r:.200} {problem}")
        return None
    value: Any = text
    if name == "auth.public_keys":
        value = _PEM.findall(text) or [text]
    elif name in {"auth.jwt_secret", "auth.api_keys"}:
        value = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return _Given(name, value, origin, is_text=name != "redis.url" and not isinstance(value, list))


def _converted(given: _Given, field_type: Any) -> Any:
    """The value in the field's type. Raises ValueError with the problem in words."""
    value: Any = given.value
    is_list = "tuple" in str(field_type)
    if is_list and isinstance(value, str):
        value = _listed(value) if given.is_text else [value]
    elif given.name.endswith("_bytes") and isinstance(value, str):
        value = _bytes(value)
    try:
        # strict=False lets "8080" and "true" of the environment be what they say; a file must say it itself.
        converted = msgspec.convert(value, field_type, strict=not given.is_text)
    except msgspec.ValidationError as problem:
        expectation = lowered(problem)
        choices = ", ".join(_choices(field_type))
        if choices:
            expectation = f"expected {'a list of ' if is_list else 'one of '}{choices}"
        raise ValueError(f"{given.name} {_shown(given.name, given.value)}: {expectation}") from None
    if isinstance(converted, float) and not math.isfinite(converted):
        raise ValueError(f"{given.name} {converted}: expected a finite number")
    return converted


def _choices(field_type: Any) -> tuple[str, ...]:
    """The allowed words where the type, or its items, is a Literal; else nothing."""
    if get_origin(field_type) is Literal:
        return get_args(field_type)
    return next((found for part in get_args(field_type) if (found := _choices(part))), ())


def _listed(text: str) -> Any:
    """A list out of the environment: JSON when it begins like it, else separated by commas. "" is the empty list."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if "-----BEGIN" in text:
        return _PEM.findall(text) or [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def _bytes(text: str) -> Any:
    match = _SIZE.match(text)
    return int(match[1]) * _SIZE_UNITS[match[2].lower()] if match else text


def _shown(name: str, value: Any) -> str:
    return "(a secret)" if name in FROM_FILE else f"{value!r:.80}"


def _unknown(name: str) -> str:
    section = name.partition(".")[0]
    sections = {known.partition(".")[0] for known in _fields()}
    if section not in sections:
        return f"unknown section {section!r:.80}; expected one of {', '.join(sorted(sections))}"
    keys = ", ".join(known.partition(".")[2] for known in _fields() if known.startswith(f"{section}."))
    return f"unknown key {name!r:.120}; [{section}] has {keys}"


def _built(values: Mapping[str, Any]) -> Settings:
    sections = {}
    for section in msgspec.structs.fields(Settings):
        own = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{section.name}.")}
        sections[section.name] = section.type(**own)
    return Settings(**sections)


def _place(origins: Origins, names: tuple[str, ...]) -> str:
    """Where to look: the first of `names` that somebody set."""
    return next((origins[name] for name in names if origins[name] != "default"), "default")
