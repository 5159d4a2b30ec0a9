# SPDX-License-Identifier: Apache-2.0
"""`adiabit train`."""

from __future__ import annotations

from typing import Annotated

import typer

from adiabit.flows.cli.output import tell
from adiabit.flows.cli.verb import FreshOption, Request, finish, verb
from adiabit.flows.ladder import StageName


@verb("train")
def train(
    request: Request,
    fresh: FreshOption = False,
    meet: Annotated[
        str, typer.Option("--meet", metavar="HOST:PORT", help="Address of machine 0, where train.machines meet.")
    ] = "",
    machine: Annotated[int, typer.Option("--machine", help="Number of this machine; 0 keeps the results.")] = 0,
    wait: Annotated[float, typer.Option("--wait", help="Seconds that the machines wait for each other.")] = 120,
) -> int:
    """Train the network to binary weights and activations."""
    pipeline = request.pipeline([StageName.TRAIN] if fresh else ())
    pipeline.meet, pipeline.machine, pipeline.wait = meet, machine, wait
    if not machine:
        return finish(pipeline, StageName.TRAIN)
    pipeline.join()
    tell(f"machine {machine} of {pipeline.recipe.train.machines}: done; the results are on machine 0")
    return 0
