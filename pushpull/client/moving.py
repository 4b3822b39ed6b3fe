"""A conversation on its way out of a service, or into one: what the two server clients share. Nothing is sent here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from tenacity import stop_after_attempt, stop_all

from pushpull.client.calls import Call, Json, error_in
from pushpull.errors import StoreUnavailable
from pushpull.model import check_cid

CHUNK_BYTES: Final = 256 * 1024

TRIES: Final = 5
"""Of a file that can be sent again, at least: the first may have taken longer than any other call is tried."""

Source = Path | bytes | Callable[[], Iterable[bytes]] | Iterable[bytes]
"""A file: its path, all of it, or what opens it, so that it can be sent again; or its bytes, to be read once."""


def export(cid: str) -> Call[None]:
    """Its answer is read as lines, see Lines."""
    return Call("GET", f"/v1/conversations/{check_cid(cid)}/export", lambda answer: None)


def bring_in(cid: str) -> Call[Json]:
    """Its body is what `opened` gives."""
    return Call("POST", f"/v1/conversations/{check_cid(cid)}/import", dict)


def give_up(cid: str) -> Call[None]:
    return Call("DELETE", f"/v1/conversations/{check_cid(cid)}/import", lambda answer: None)


class Lines:
    """An export as it comes, cut into lines, each with its end. It is whole when `finish` returns."""

    def __init__(self, cid: str) -> None:
        self._cid = cid
        self._rest = b""
        self._last = b""

    def take(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if lines:
            self._last = lines[-1]
        return [line + b"\n" for line in lines]

    def finish(self) -> None:
        """Raise what stopped the export at the service, StoreUnavailable where it was cut off on the way."""
        try:
            last = msgspec.json.decode(self._last, type=dict[str, Any])
        except msgspec.DecodeError:
            last = {}
        if last.get("type") == "error":
            raise error_in(last["error"])
        if last.get("type") != "end" or self._rest:
            raise self.cut_off()

    def cut_off(self) -> StoreUnavailable:
        """What is raised where the connection ends before the last line."""
        return StoreUnavailable(f"the export of {self._cid} was cut off before its last line")


def rules(source: Source | AsyncIterable[bytes], usual: Mapping[str, Any]) -> dict[str, Any]:
    """How often it is sent, for tenacity; `usual`: the rules of other calls."""
    if isinstance(source, Path | bytes) or callable(source):
        return {**usual, "stop": stop_all(usual["stop"], stop_after_attempt(TRIES))}
    return {**usual, "stop": stop_after_attempt(1)}


def opened(source: Source) -> Iterator[bytes]:
    """The bytes from the beginning."""
    if isinstance(source, Path):
        return _chunks(source)
    if isinstance(source, bytes):
        return iter([source])
    return iter(source() if callable(source) else source)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


async def opened_async(source: Source | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The bytes from the beginning, for a loop: what is read from a disk is read beside it."""
    if isinstance(source, AsyncIterable):
        async for chunk in source:
            yield chunk
        return
    chunks = opened(source)
    while (piece := await asyncio.to_thread(next, chunks, None)) is not None:
        yield piece
