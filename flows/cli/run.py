# SPDX-License-Identifier: Apache-2.0
"""`adiabit run` and `adiabit report`: every stage, then the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adiabit.flows.cli.output import give, made, show
from adiabit.flows.cli.verb import FreshOption, Request, VerifiedOption, command_line, verb
from adiabit.flows.ladder import StageName
from adiabit.flows.pipeline import Pipeline

if TYPE_CHECKING:
    from adiabit.flows.report.figures import Figures


@verb("run")
def run(request: Request, fresh: FreshOption = False, verified: VerifiedOption = None) -> int:
    """Run every stage: train, export, compile, emit, simulate, synthesize, report. Exit code 1: a rung differs."""
    return _report(request.pipeline(tuple(StageName) if fresh else (), verified=verified))


@verb("report")
def report(request: Request, verified: VerifiedOption = None) -> int:
    """Make the report; the same as `run`, reusing its stages."""
    return _report(request.pipeline(verified=verified))


def _report(pipeline: Pipeline) -> int:
    return int(not reported(pipeline).agrees)


def reported(pipeline: Pipeline) -> Figures:
    """Make all stages and the report, and print its tables; the figures."""
    from adiabit.flows.report.terminal import tables

    figures = pipeline.report(command_line())
    for table in tables(figures):
        show(table, always=not figures.agrees)
    give(figures.document())
    made(pipeline.out / "report" / "report.html")
    return figures
