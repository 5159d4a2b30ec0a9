# SPDX-License-Identifier: Apache-2.0
"""What the command line prints, and where.

Lines of a run and its results go to stdout, progress, details and faults to stderr. With --quiet only the path of what
was made is printed, and what keeps a run from being exact. With --json stdout holds one document and nothing else.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pydantic_core import to_json
from rich.console import Console, RenderableType

from adiabit.errors import UserError
from adiabit.flows import progress
from adiabit.flows.cli import displays

LOGGER = logging.getLogger("adiabit")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the command line; Rich would end with exit code 1."""
        raise BrokenPipeError


console = _Console(width=None if sys.stdout.isatty() else 120)  # a log has no width of its own


@dataclass
class Output:
    """The output of one command."""

    verb: str = ""
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    made: list[str] = field(default_factory=list)  # paths
    result: Any = None  # of --json; any JSON type, dataclasses included
    _ends: ExitStack = field(default_factory=ExitStack, repr=False)
    _stdout: TextIO | None = None

    def take(self, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        """Take options, which stand before or behind the verb; `UserError` where they exclude each other."""
        self.quiet, self.verbose, self.as_json = self.quiet or quiet, self.verbose or verbose, self.as_json or as_json
        if self.quiet and self.verbose:
            raise UserError("--quiet and --verbose exclude each other; give one of them")

    def open(self, verb: str) -> None:
        """Begin a command."""
        self.verb = verb
        if self.as_json:
            self._stdout = self._ends.enter_context(_diverted())
        if self.verbose:
            self._ends.enter_context(_detailed(sys.stderr))
        if not self.quiet:
            display = displays.bars if sys.stderr.isatty() and not self.verbose else displays.lines
            self._ends.enter_context(progress.shown_by(display(sys.stderr)))

    def close(self) -> None:
        """End the command, however it ended."""
        self._ends.close()

    def document(self, code: int, fault: str | None) -> None:
        """Print the document of --json, if that is wanted."""
        if self.as_json:
            text = to_json(
                {"verb": self.verb, "exit_code": code, "error": fault, "made": self.made, "result": self.result},
                indent=1, inf_nan_mode="null", fallback=str,
            )  # fmt: skip
            print(text.decode(), file=self._stdout or sys.stdout, flush=True)

    def words(self) -> list[str]:
        """The command line's words for how much is told."""
        return [*(["--quiet"] if self.quiet else []), *(["--verbose"] if self.verbose else [])]


_now = Output()


def current() -> Output:
    """The output of the command that runs."""
    return _now


def renewed() -> Output:
    """The output of a new command."""
    global _now  # a process runs one command at a time
    _now = Output()
    return _now


def tell(line: str) -> None:
    """Print a line of a run verbatim."""
    if not _now.quiet:
        _line(line)


def show(result: RenderableType, *, always: bool = False) -> None:
    """Print a result; with --quiet only what must be told `always`."""
    if always or not _now.quiet:
        console.print(result)


def made(path: Path) -> None:
    """Print the path of what was made, also with --quiet."""
    _now.made.append(str(path))
    _line(str(path))


def give(result: Any) -> None:
    """Set the result that --json prints."""
    _now.result = result


def _line(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _detailed(stream: TextIO) -> Iterator[None]:
    """What our modules log goes to `stream` meanwhile."""
    handler, before = logging.StreamHandler(stream), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)


@contextmanager
def _diverted() -> Iterator[TextIO]:
    """What is printed meanwhile, by C libraries and child processes too, goes to stderr; yields the real stdout."""
    stdout = sys.stdout
    try:
        number, theirs = stdout.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # streams of Python's alone, which no child process has
        number = theirs = None
    with redirect_stdout(sys.stderr):
        if number is None or theirs is None:
            yield stdout
            return
        stdout.flush()
        kept = os.dup(number)
        os.dup2(theirs, number)
        try:
            yield stdout
        finally:
            stdout.flush()
            os.dup2(kept, number)
            os.close(kept)
