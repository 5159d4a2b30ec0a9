# SPDX-License-Identifier: Apache-2.0
"""The command line, one module per verb; each verb takes a recipe and first makes what its stage needs."""

from __future__ import annotations

from adiabit.flows.cli import (
    bitstream,
    boards,
    check,
    clean,
    compare,
    compile,  # noqa: A004  # a verb
    doctor,
    emit,
    explain,
    init,
    run,
    simulate,
    stages,
    summary,
    sweep,
    train,
)
from adiabit.flows.cli.app import invoke, main

__all__ = [
    "bitstream", "boards", "check", "clean", "compare", "compile", "doctor", "emit", "explain", "init", "invoke",
    "main", "run", "simulate", "stages", "summary", "sweep", "train",
]  # fmt: skip
