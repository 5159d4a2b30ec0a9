# SPDX-License-Identifier: Apache-2.0
"""Processes of one machine that work together: the first one to fail ends all, and none outlives its parent."""

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

GRACE = 1.0  # seconds from the first failure to those that follow from it, and from SIGTERM to SIGKILL
LONGEST = 20_000  # characters of a traceback: it must fit into a pipe that nobody reads yet


def end_with_parent() -> None:
    """Let this process end as soon as its parent does, even if the parent is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass(frozen=True)
class Failure:
    """Why a process ended; without `fault` and `error` where it was killed or called `sys.exit`."""

    number: int
    code: int  # exit code, or the negative number of the signal
    fault: str = ""  # the line of a `UserError`
    error: str = ""  # the line of any other exception
    trace: str = ""  # the traceback of that exception; empty for a lost peer, which is not a bug of this process
    time: float = 0.0

    @property
    def order(self) -> tuple[int, float]:
        """Sorts the cause first: when a process dies, its peers raise exceptions."""
        return (0 if self.fault else 1 if not self.error else 2 if self.trace else 3, self.time)

    def user_error(self) -> UserError:
        """The exception to raise in the parent, after printing the traceback of a bug."""
        if self.fault:
            return UserError(self.fault)
        sys.stderr.write(self.trace)
        code = self.code
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return UserError(
            f"training: process {self.number} {how}{f' ({self.error})' if self.error else ''}; fix that and run "
            "again, which resumes after the last complete epoch"
        )


class Worker:
    """One of the processes; it reports through a pipe why it fails."""

    def __init__(self, number: int, work: Callable[..., None], args: Sequence[Any]) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.number = number
        self.receiver, self.sender = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(self.sender, work, *args))

    def start(self) -> None:
        """Start the process, which then holds the only sending end of the pipe."""
        self.process.start()
        self.sender.close()

    @property
    def failure(self) -> Failure | None:
        """None while the process runs and where it succeeded."""
        if not self.process.exitcode:
            return None
        try:
            report = json.loads(self.receiver.recv_bytes())
        except EOFError:
            report = {}
        return Failure(self.number, self.process.exitcode, **report)


def run_all(work: Callable[..., None], each: Sequence[Sequence[Any]], first: int = 0) -> None:
    """Call `work(*args)` for each `args` in a process of its own; processes are numbered from `first`.

    `UserError` where one of them raises it or does not end by returning. However this function ends, even by
    KeyboardInterrupt, all processes end with it.
    """
    workers = [Worker(number, work, args) for number, args in enumerate(each, first)]
    try:
        with _interrupts_blocked():
            for worker in workers:
                worker.start()
        _wait(workers)
    finally:
        _end([worker.process for worker in workers if worker.process.pid is not None])


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started within ignore SIGINT: a terminal sends it to all, and only the parent should react."""
    resource_tracker.ensure_running()  # otherwise the first process starts it, which unblocks signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(workers: Sequence[Worker]) -> None:
    running = list(workers)
    while running:
        closed = connection.wait([worker.process.sentinel for worker in running])
        ended = [worker for worker in running if worker.process.sentinel in closed]
        for worker in ended:
            worker.process.join()  # the exit code is available a moment after the sentinel
        if any(worker.process.exitcode for worker in ended):
            raise _cause(workers).user_error()
        running = [worker for worker in running if worker not in ended]


def _cause(workers: Sequence[Worker]) -> Failure:
    """The first cause among one failure and those that follow from it within `GRACE`."""
    deadline = time.monotonic() + GRACE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    return min((found for worker in workers if (found := worker.failure)), key=lambda failure: failure.order)


def _end(processes: Sequence[Any]) -> None:
    """Send SIGTERM, then SIGKILL to those still running: Lightning reacts to SIGTERM at the end of a batch."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()


def _work(sender: connection.Connection, work: Callable[..., None], *args: Any) -> None:
    end_with_parent()
    try:
        work(*args)
    except UserError as error:
        _fail(sender, fault=str(error))
    except Exception as error:  # the parent reports it, whatever it is
        trace = "" if isinstance(error, ConnectionError) else traceback.format_exc()[-LONGEST:]
        _fail(sender, error=" ".join(f"{type(error).__name__}: {error}".split())[:500], trace=trace)


def _fail(sender: connection.Connection, **report: str) -> None:
    sender.send_bytes(json.dumps({**report, "time": time.time()}).encode())
    sys.exit(1)
