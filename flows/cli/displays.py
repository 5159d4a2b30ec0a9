# SPDX-License-Identifier: Apache-2.0
"""How the command line shows the progress of long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from adiabit.flows.progress import Display, Done

EVERY = 30.0  # seconds between the lines of a log


class _Count(ProgressColumn):
    """How much is done; nothing where the total is not known."""

    def render(self, task: Task) -> Text:
        """The text of a task."""
        return MofNCompleteColumn().render(task) if task.total is not None else Text()


class _Time(ProgressColumn):
    """The time left; the time passed where the total is not known."""

    def render(self, task: Task) -> Text:
        """The text of a task."""
        if task.total is not None:
            return Text.assemble(TimeRemainingColumn(compact=True).render(task), " left")
        return Text(words(task.elapsed or 0), "progress.elapsed")


def bars(stream: TextIO) -> Display:
    """Bars on a terminal that vanish when the work is done; work may be part of other work."""
    shown = Progress(
        TextColumn("{task.description}"), BarColumn(), _Count(), _Time(),
        console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip

    @contextmanager
    def show(what: str, total: float | None) -> Iterator[Done]:
        task = shown.add_task(what, total=total)
        shown.start()
        try:
            yield lambda more: shown.advance(task, more)
        finally:
            if len(shown.task_ids) == 1:
                shown.stop()  # before its last task is removed, lest an empty line remain
            shown.remove_task(task)

    return show


def lines(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> Display:
    """A line now and then, for logs."""

    @contextmanager
    def show(what: str, total: float | None) -> Iterator[Done]:
        start = last = clock()
        count = 0.0

        def done(more: float) -> None:
            nonlocal count, last
            count, now = count + more, clock()
            if total and 0 < count < total and now - last >= EVERY:
                last, left = now, (now - start) * (total - count) / count
                print(f"{what}: {count:,.0f} of {total:,.0f}, {words(left)} left", file=stream, flush=True)

        yield done

    return show


def words(seconds: float) -> str:
    """A time as minutes and seconds, or hours too."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
