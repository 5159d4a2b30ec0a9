# SPDX-License-Identifier: Apache-2.0
"""Processes of this machine that work together: the first that fails ends all, and none outlives its parent."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from typing import Any

from adiabit.errors import UserError

GRACE = 1.0  # seconds: between the first failure and those that follow from it, and between SIGTERM and SIGKILL
LONGEST = 20_000  # characters of a traceback, which must fit into a pipe that nobody reads yet


def end_with_parent() -> None:
    """Let this process end as soon as its parent does, also where that one was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True)
class Failure:
    """Why a process ended: what it said last, or nothing where it was killed or left by itself."""

    number: int
    code: int
    fault: str = ""  # the line of a `UserError`
    error: str = ""  # of any other exception,
    trace: str = ""  # and its traceback, but of a lost peer, which is no bug of this process
    time: float = 0.0

    @property
    def order(self) -> tuple[int, float]:
        """The cause sorts first: a process that dies makes its peers raise."""
        return (0 if self.fault else 1 if not self.error else 2 if self.trace else 3, self.time)

    def told(self) -> UserError:
        """One line; a `UserError` of the process has its own."""
        if self.fault:
            return UserError(self.fault)
        sys.stderr.write(self.trace)
        code = self.code
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return UserError(
            f"training: process {self.number} {how}{f' ({self.error})' if self.error else ''}; mend that and run "
            "again, which goes on after the last whole epoch"
        )


class Member:
    """One of the processes, which tells by a pipe why it fails."""

    def __init__(self, number: int, work: Callable[..., None], args: Sequence[Any]) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.number = number
        self.said, self.says = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(self.says, work, *args))

    def start(self) -> None:
        """Start it; its end of the pipe is its own from here on."""
        self.process.start()
        self.says.close()

    @property
    def failure(self) -> Failure | None:
        """None while it works, and where it came to its end."""
        if not self.process.exitcode:
            return None
        try:
            last = json.loads(self.said.recv_bytes())
        except EOFError:
            last = {}
        return Failure(self.number, self.process.exitcode, **last)


def run_all(work: Callable[..., None], each: Sequence[Sequence[Any]], first: int = 0) -> None:
    """Call `work(*args)` for each `args` in a process of its own; they are numbered from `first`.

    `UserError` where one of them raises it or ends otherwise than by returning. Whatever ends this function,
    KeyboardInterrupt too, ends all of them.
    """
    members = [Member(number, work, args) for number, args in enumerate(each, first)]
    try:
        with _interrupts_held():
            for member in members:
                member.start()
        _wait(members)
    finally:
        _end([member.process for member in members if member.process.pid is not None])


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What is started within takes no SIGINT: a terminal sends it to all, and the parent alone answers."""
    resource_tracker.ensure_running()  # the first process would start it, which lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(members: Sequence[Member]) -> None:
    working = list(members)
    while working:
        closed = connection.wait([member.process.sentinel for member in working])
        ended = [member for member in working if member.process.sentinel in closed]
        for member in ended:
            member.process.join()  # its exit code comes a moment after its sentinel
        if any(member.process.exitcode for member in ended):
            raise _cause(members).told()
        working = [member for member in working if member not in ended]


def _cause(members: Sequence[Member]) -> Failure:
    """Of one failure and those that follow from it within `GRACE`."""
    until = time.monotonic() + GRACE
    for member in members:
        member.process.join(max(0.0, until - time.monotonic()))
    return min((found for member in members if (found := member.failure)), key=lambda failure: failure.order)


def _end(processes: Sequence[Any]) -> None:
    """SIGTERM, and SIGKILL for those that go on: Lightning answers SIGTERM at the end of a batch."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()
        process.join()


def _work(says: connection.Connection, work: Callable[..., None], *args: Any) -> None:
    end_with_parent()
    try:
        work(*args)
    except UserError as error:
        _say(says, fault=str(error))
    except Exception as error:  # whatever it is, the parent tells it
        trace = "" if isinstance(error, ConnectionError) else traceback.format_exc()[-LONGEST:]
        _say(says, error=" ".join(f"{type(error).__name__}: {error}".split())[:500], trace=trace)


def _say(says: connection.Connection, **why: str) -> None:
    says.send_bytes(json.dumps({**why, "time": time.time()}).encode())
    sys.exit(1)
