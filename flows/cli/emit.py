# SPDX-License-Identifier: Apache-2.0
"""`adiabit emit`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from adiabit.flows.cli.verb import FreshOption, Request, finish_one, verb
from adiabit.flows.ladder import StageName


@verb("emit")
def emit(
    request: Request,
    fresh: FreshOption = False,
    backend: Annotated[Literal["rtl", "hls"], typer.Option(help="SystemVerilog, or dataflow HLS C++.")] = "rtl",
) -> int:
    """Write the accelerator as SystemVerilog, or as dataflow HLS C++."""
    return finish_one(request, StageName.HLS if backend == "hls" else StageName.EMIT, fresh=fresh)
