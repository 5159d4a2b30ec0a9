# SPDX-License-Identifier: Apache-2.0
"""`adiabit emit`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from adiabit.flows.cli.verb import FreshOption, Request, finish, verb


@verb("emit")
def emit(
    request: Request,
    fresh: FreshOption = False,
    backend: Annotated[Literal["rtl", "hls"], typer.Option(help="SystemVerilog, or dataflow HLS C++.")] = "rtl",
) -> int:
    """Write the accelerator as SystemVerilog, or as dataflow HLS C++."""
    stage = "hls" if backend == "hls" else "emit"
    return finish(request.pipeline(stage if fresh else ""), stage)
