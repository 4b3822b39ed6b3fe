"""What a reader of a page types, from its first block to its last, in one shell beside one running service.

The shell's directory looks like a clone in which `./scripts/start` runs: the repository's files, and `data/` with the
keys and the socket of the service's Redis. Where a page says 127.0.0.1:8080 the service of the test is meant.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.blocks import ROOT, Block, console_parts
from tests.e2e.service import API_KEY, SECRET

RUN: Final = ("sh", "console", "python")
PAGE_S: Final = 45.0
_DEFAULT: Final = re.compile(r"\b(?:127\.0\.0\.1|localhost):8080\b")
_STEP: Final = "\x1e"  # before each step's number in the output

# Each job is a group of its own, so that all of it can be ended.
_PRELUDE: Final = """\
set -e -o pipefail
jobs=
trap 'exit 1' TERM
trap 'for job in $jobs; do end $job; done' EXIT
end() {
    kill -INT -- "-$1" 2>/dev/null || true
    for _ in $(seq 200); do kill -0 "$1" 2>/dev/null || break; sleep 0.05; done
    kill -KILL -- "-$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
until_it_says() {
    for _ in $(seq 300); do
        if grep -qF -- "$3" "$2"; then return; fi
        if ! kill -0 "$1" 2>/dev/null; then echo "it ended and never said: $3"; cat "$2"; return 1; fi
        sleep 0.05
    done
    echo "within 15 s it did not say: $3"; cat "$2"; return 1
}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing typed. `prints` is what it must print: `…` stands for anything; None: it does not matter."""

    block: Block
    script: str
    prints: str | None = None


def steps_of(blocks: Sequence[Block]) -> Iterator[Step]:
    """What of a page's blocks is run, in order."""
    for block in blocks:
        if block.language not in RUN or block.marking == "not run" or block.from_a_file:
            continue
        if block.language == "console":
            for command, printed in console_parts(block.text):
                yield Step(block, command, printed)
        elif block.language == "python":
            yield Step(block, f"python -u - <<'END OF BLOCK'\n{block.text}END OF BLOCK\n")
        else:
            yield Step(block, block.text)


def script_of(steps: Sequence[Step], address: str) -> str:
    """The shell script that types them all, against the service at `address` (host:port)."""
    typed = (_typed(step, number) for number, step in enumerate(steps))
    return _PRELUDE + _DEFAULT.sub(address, "".join(typed))


def _typed(step: Step, number: int) -> str:
    said = f"printf '\\n{_STEP}{number}\\n'\n"  # what was printed before need not end in a new line
    marking, text = step.block.marking, step.script.rstrip("\n")
    if marking is None:
        return f"{said}{text}\n"
    if marking == "exit status":
        return f"{said}status=0\n(\n{text}\n) || status=$?\n[ $status = {int(step.block.said)} ]\n"
    output = f".step-{number}"
    started = f'set -m\n(\n{text}\n) >{output} 2>&1 &\njob=$!\njobs="$jobs $job"\nset +m\n'
    waits = f"until_it_says $job {output} {shlex.quote(step.block.said)}\n"
    ended = "end $job\n" if marking == "stops after" else ""
    return f"{said}{started}{waits}{ended}cat {output}\n"


def furnish(directory: Path, redis_socket: Path) -> None:
    """Make `directory` look like a clone in which the service runs."""
    for entry in ROOT.iterdir():
        if entry.name not in {"data", "config", "site", ".git", ".venv"}:
            (directory / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "config", directory / "config")
    programs = directory / ".venv" / "bin"
    programs.mkdir(parents=True)
    for program in Path(sys.executable).parent.iterdir():
        (programs / program.name).symlink_to(program)
    data = directory / "data"
    data.mkdir()
    (data / "redis.sock").symlink_to(redis_socket)
    for name, key in (("api_key", API_KEY), ("jwt_secret", SECRET)):
        (data / name).touch(mode=0o600)  # as the service makes them; it says so where others can read them
        (data / name).write_text(key)


async def run(steps: Sequence[Step], directory: Path, address: str) -> list[str]:
    """Type all of `steps`; what each printed. Fails with the step that failed, or did not come to its end."""
    (directory / ".page").write_text(script_of(steps, address))
    printing = directory / ".printed"
    with printing.open("wb") as output:
        shell = await asyncio.create_subprocess_exec(
            "bash",
            ".page",
            cwd=directory,
            env=_environ(directory, address),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # Where the tests run in the background of a script, it is ignored, and a shell cannot change that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        in_time = await _ends(shell)
    printed = re.split(rf"^{_STEP}\d+\n", printing.read_text(errors="replace"), flags=re.MULTILINE)[1:]
    last = steps[max(len(printed), 1) - 1]
    why = f"{last.block.place} {'failed' if in_time else 'took too long'}:\n{last.script}\n{''.join(printed[-1:])}"
    assert shell.returncode == 0, why
    return [one.strip() for one in printed]


async def _ends(shell: asyncio.subprocess.Process) -> bool:
    """Wait for its end; False where it had to be ended: kindly first, so that its own servers are stopped."""
    for seconds, how in ((PAGE_S, signal.SIGTERM), (10.0, signal.SIGKILL)):
        try:
            async with asyncio.timeout(seconds):
                await shell.wait()
            return how is signal.SIGTERM
        except TimeoutError:
            os.killpg(shell.pid, how)
    await shell.wait()
    return False


def _environ(directory: Path, address: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PUSHPULL_")}
    programs = directory / ".venv" / "bin"
    return {
        **plain,
        "PATH": f"{programs}{os.pathsep}{plain['PATH']}",
        "PUSHPULL_SERVER__PORT": address.rpartition(":")[2],
        "NO_PROXY": "127.0.0.1,localhost",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }


def fits(printed: str, shown: str) -> bool:
    """Whether a page that shows this told the truth."""
    pattern = re.escape(shown.strip()).replace(re.escape("…"), ".*?")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
