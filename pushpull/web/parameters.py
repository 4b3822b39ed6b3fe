"""Query and path parameters: each says how it is read, and how it stands in the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from starlette.datastructures import QueryParams

from pushpull.delivery.drafts import check_cmid
from pushpull.errors import Invalid
from pushpull.model import CMID_MAX, EXACT_MAX, NAME_PATTERN, Uid, check_uid

T = TypeVar("T")

_DIGITS: Final = re.compile(r"[0-9]{1,16}\Z")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number in the query, `least` to `most`."""

    name: str
    about: str
    least: int = 0
    most: int = EXACT_MAX

    def read(self, query: QueryParams) -> int | None:
        """The number, or None where the query does not name it. Raises Invalid."""
        given = _once(self.name, query)
        return None if given is None else whole(self.name, given, self.least, self.most)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Name(Generic[T]):
    """A cid or a uid in the query, as `check` (model.check_cid, model.check_uid) takes it."""

    name: str
    about: str
    check: Callable[[object], T]
    required: bool = False

    def read(self, query: QueryParams) -> T | None:
        """The id, or None where the query does not name one and need not. Raises Invalid."""
        given = _once(self.name, query)
        if given is None and self.required:
            raise Invalid(f"{self.name} is not given: expected {self.about}")
        return None if given is None else self.check(given)

    def schema(self) -> dict[str, Any]:
        return NAME_SCHEMA


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """A place in a conversation's list of members: `next` of the page before, or the uid it ended with."""

    name: str
    about: str

    def read(self, query: QueryParams) -> tuple[Uid | None, int | None]:
        """The member the page before ended with, and the head it joined at where that is told. Raises Invalid."""
        given = _once(self.name, query)
        if given is None:
            return None, None
        joined, tilde, uid = given.partition("~")
        if not tilde:
            return check_uid(given), None
        return check_uid(uid), whole(self.name, joined, 0, EXACT_MAX)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^([0-9]{{1,16}}~)?{NAME_PATTERN}$"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words in the query, which must be said."""

    name: str
    about: str
    words: tuple[str, ...]

    def read(self, query: QueryParams) -> str:
        """The word. Raises Invalid."""
        given = _once(self.name, query)
        if given in self.words:
            return given
        was = "is not given" if given is None else f"{given!a:.40} is unknown"
        raise Invalid(f"{self.name} {was}: expected {' or '.join(self.words)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Cmid:
    """A client's own id of a message."""

    name: str
    about: str

    def read(self, query: QueryParams) -> str | None:
        """The cmid, or None where the query does not name one. Raises Invalid."""
        given = _once(self.name, query)
        return None if given is None else check_cmid(given)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": CMID_MAX}


Parameter = Whole | Name[Any] | MemberPlace | Choice | Cmid


def is_required(parameter: Parameter) -> bool:
    """Whether a call must name it."""
    return isinstance(parameter, Choice) or (isinstance(parameter, Name) and parameter.required)


NAME_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
SEQ_SCHEMA: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": EXACT_MAX}


def whole(name: str, given: str, least: int, most: int) -> int:
    """`given` as a number from `least` to `most`, or raise Invalid. Digits alone: no sign, space or underscore."""
    if _DIGITS.match(given) and least <= int(given) <= most:
        return int(given)
    raise Invalid(f"{name} {given!a:.40} is not a whole number from {least} to {most}")


def within(name: str, value: int | None, least: int = 0, most: int = EXACT_MAX) -> int | None:
    """A number of a JSON body, checked likewise; None stays None."""
    if value is None or least <= value <= most:
        return value
    raise Invalid(f"{name} {str(value)[:40]} is not a whole number from {least} to {most}")


def _once(name: str, query: QueryParams) -> str | None:
    given = query.getlist(name)
    if len(given) > 1:
        raise Invalid(f"{name} is given {len(given)} times, expected once")
    return given[0] if given else None
