# SPDX-License-Identifier: Apache-2.0
"""The command line, a module a verb: each takes a recipe and makes what its stage needs first."""

from __future__ import annotations

from adiabit.flows.cli import (
    bitstream,
    boards,
    compare,
    compile,  # noqa: A004  # a verb
    doctor,
    emit,
    run,
    simulate,
    stages,
    summary,
    train,
)
from adiabit.flows.cli.app import invoke, main

__all__ = [
    "bitstream", "boards", "compare", "compile", "doctor", "emit", "invoke", "main", "run", "simulate", "stages",
    "summary", "train",
]  # fmt: skip
