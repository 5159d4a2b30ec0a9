# SPDX-License-Identifier: Apache-2.0
"""Whatever a run makes of a signal, it ends with one line and the shell's exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from adiabit.flows.interrupts import guarded

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
RUN = """
import os, signal, sys, time
from adiabit.flows import interrupts
interrupts.GRACE = 0.5
def work():
{work}
    return 0
sys.exit(interrupts.guarded(work, last=True))
"""


def ended(work: str, number: signal.Signals) -> tuple[int, str]:
    """Exit code and standard error of a run in which `work` sends itself the signal SIGNAL."""
    work = textwrap.indent(textwrap.dedent(work), "    ").replace("SIGNAL", f"signal.{number.name}")
    done = subprocess.run([sys.executable, "-c", RUN.format(work=work)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    "work",
    [
        "os.kill(os.getpid(), SIGNAL)",
        """
        try:
            os.kill(os.getpid(), SIGNAL)
        except KeyboardInterrupt:  # a library makes an exit code of its own of it
            sys.exit(1)
        """,
        """
        try:
            os.kill(os.getpid(), SIGNAL)
        except KeyboardInterrupt:  # or swallows it, and goes on for ever
            while True:
                time.sleep(1)
        """,
        """
        try:
            os.kill(os.getpid(), SIGNAL)
        except KeyboardInterrupt:  # or fails over what it left half-done
            raise ImportError("partially initialized module")
        """,
        """
        class Callback:  # or it comes where Python can raise nothing
            def __del__(self):
                os.kill(os.getpid(), SIGNAL)
        Callback()
        time.sleep(60)
        """,
        """
        import importlib.util, types
        class Finder:  # or while a library is imported that aborts at an exception
            def find_spec(self, name, *_):
                os.kill(os.getpid(), SIGNAL)
                os.abort()
        sys.meta_path.insert(0, Finder())
        import no_such_module
        """,
        """
        def twice():
            try:
                os.kill(os.getpid(), SIGNAL)
            finally:
                os.kill(os.getpid(), SIGNAL)
                time.sleep(60)
        twice()
        """,
    ],
    ids=["plain", "exit code", "swallowed", "another error", "unraisable", "import", "twice"],
)
def test_a_signal_ends_the_run(work: str, number: signal.Signals) -> None:
    told = f"adiabit: interrupted by {number.name}; run the same command again to resume\n"
    assert ended(work, number) == (CODES[number], told)


def test_a_signal_after_the_work_changes_nothing() -> None:
    text = RUN.replace("sys.exit(interrupts", "code = (interrupts").format(work="    pass")
    text += "os.kill(os.getpid(), signal.SIGTERM)\nsys.exit(code)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_errors_and_codes_go_on_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in CODES]
    assert guarded(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)
    assert [signal.getsignal(number) for number in CODES] == before
