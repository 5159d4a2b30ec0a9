# SPDX-License-Identifier: Apache-2.0
"""Processes that work together end together, and tell the first cause in one line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.train.processes import run_all
from tests.train.sockets import family


def _fail(number: int, how: str) -> None:
    if number == 0:
        time.sleep(600)
    if how == "UserError":
        raise UserError("recipe: it is wrong; fix it")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "bug":
        raise KeyError("no such thing")
    os._exit(3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("UserError", r"^recipe: it is wrong; fix it$"),
        ("exit", r"^training: process 1 ended with exit code 3; fix that and run again"),
        ("killed", r"^training: process 1 was ended by SIGKILL; fix that and run again"),
        ("bug", r"^training: process 1 ended with exit code 1 \(KeyError: 'no such thing'\); fix that and run again"),
    ],
)
def test_a_process_that_fails_ends_all(how: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=message):
        run_all(_fail, [(0, how), (1, how)])
    assert family(os.getpid()).isdisjoint(_others())
    told = capfd.readouterr().err
    assert ("Traceback" in told) == (how == "bug")  # which keeps it


def _others() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid}


def _peer_goes(number: int, how: str) -> None:
    if number == 1:
        time.sleep(0.2)
        if how == "UserError":
            raise UserError("recipe: the cause; fix it")
        raise KeyError("the cause")
    raise ConnectionError("a peer has ended")


@pytest.mark.parametrize("how", ["UserError", "bug"])
def test_the_cause_comes_before_what_follows_from_it(how: str) -> None:
    with pytest.raises(UserError, match="the cause"):
        run_all(_peer_goes, [(0, how), (1, how)])


def _loses(number: int) -> None:
    raise ConnectionError("a peer has ended")


def test_a_lost_peer_is_no_bug(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        UserError, match="^training: process 3 ended with exit code 1 .ConnectionError: a peer has ended"
    ):
        run_all(_loses, [(0,)], first=3)
    assert capfd.readouterr().err == ""


def _sleep(folder: Path, number: int, stubborn: bool) -> None:
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / str(number)).write_text(str(os.getpid()))
    time.sleep(600)


ROOT = Path(__file__).parents[2]
PARENT = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from adiabit.train.processes import run_all
from tests.train.test_processes import _sleep
if __name__ == "__main__":
    run_all(_sleep, [(Path(sys.argv[1]), number, number == 1) for number in range(2)])
"""


def started(folder: Path, parent: subprocess.Popen[str] | None = None) -> list[int]:
    while len(pids := [int(text) for n in range(2) if (p := folder / str(n)).exists() and (text := p.read_text())]) < 2:
        assert parent is None or parent.poll() is None
        time.sleep(0.02)
    return pids


def gone(pids: list[int]) -> bool:
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    """SIGINT as a terminal sends it, to the whole group: the parent alone tells of it."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    pids = started(tmp_path, process)
    if how == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, how)
    told = process.communicate()[1]
    assert gone(pids)
    assert told.count("KeyboardInterrupt") == (1 if how == signal.SIGINT else 0)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_all_and_goes_on(tmp_path: Path, interruptible: None) -> None:
    def interrupt() -> None:
        started(tmp_path)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_all(_sleep, [(tmp_path, 0, False), (tmp_path, 1, True)])
    assert gone(started(tmp_path))
