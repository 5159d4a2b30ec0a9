# SPDX-License-Identifier: Apache-2.0
"""Faults of a model: the first ends the reading, or all are collected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adiabit.errors import UserError


class Faults:
    """Collects faults, each a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect the fault that ends the block, if one does."""
        try:
            yield
        except UserError as fault:
            if str(fault) not in self.lines:
                self.lines.append(str(fault))


class First(Faults):
    """The first fault is raised."""

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Raise the fault."""
        yield
