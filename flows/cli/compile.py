# SPDX-License-Identifier: Apache-2.0
"""`adiabit compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adiabit.flows.cli.output import made, tell
from adiabit.flows.cli.verb import FreshOption, Request, finish, verb
from adiabit.flows.ladder import StageName


@verb("compile")
def compile_(
    request: Request,
    fresh: FreshOption = False,
    for_finn: Annotated[
        Path | None, typer.Option("--for-finn", metavar="DIR", help="Also write the input of FINN's own builder.")
    ] = None,
) -> int:
    """Compile the QONNX model with FINN and fold it for the target."""
    pipeline = request.pipeline([StageName.COMPILE] if fresh else ())
    code = finish(pipeline, StageName.COMPILE)
    if for_finn is not None:
        for line in pipeline.hand_over(for_finn):
            tell(f"for FINN, {line}")
        made(for_finn)
    return code
