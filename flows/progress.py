# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: what counts tells how much is done of how much, and a display shows it, if there is one.

    with counting("frames", len(frames)) as done:
        for block in blocks:
            ...
            done(len(block))

The results of the work know nothing of it. Without a display, as from Python, nothing is shown;
:mod:`adiabit.flows.cli.displays` has those of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Done = Callable[[float], None]  # this much more is done
Display = Callable[[str, float | None], AbstractContextManager[Done]]  # of work by its name and total, if that is known


def _nothing(_: str, __: float | None) -> AbstractContextManager[Done]:
    return nullcontext(lambda _: None)


_display: ContextVar[Display] = ContextVar("display", default=_nothing)


def counting(what: str, total: float | None = None) -> AbstractContextManager[Done]:
    """Show work while it is done: `total` units of `what`, of which each call of the result reports some more.

    Without a total, only the time that has passed is shown.
    """
    return _display.get()(what, total)


def counted(what: str, items: Iterable[T], total: int) -> Iterator[T]:
    """The items; each counts as done when it is there."""
    with counting(what, total) as done:
        for item in items:
            done(1)
            yield item


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Let `display` show the work that is done meanwhile."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)
