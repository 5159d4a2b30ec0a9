# SPDX-License-Identifier: Apache-2.0
"""`adiabit simulate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.verb import FreshOption, Request, finish, verb
from adiabit.flows.ladder import StageName

SIMULATIONS = {"rtl": StageName.SIMULATE, "hls": StageName.CSIM, "cosim": StageName.COSIM}  # back end to stage


@verb("simulate")
def simulate(
    request: Request,
    fresh: FreshOption = False,
    frames: Annotated[str, typer.Option("--frames", metavar="FIRST:END", help="Only these frames.")] = "",
    trace: Annotated[bool, typer.Option("--trace", help="Write the waveforms of these frames.")] = False,
    backend: Annotated[
        Literal["rtl", "hls", "cosim"],
        typer.Option(help="Our RTL in Verilator, the compiled HLS C++, or the RTL that Vitis HLS makes of it."),
    ] = "rtl",
) -> int:
    """Run the accelerator on the saved vectors and compare every stream with the golden model."""
    chosen: dict[str, Any] = _range(frames) if frames else {}
    if trace:
        chosen["trace"] = True
    stage = SIMULATIONS[backend]
    return finish(request.pipeline([stage] if fresh else (), **chosen), stage)


def _range(frames: str) -> dict[str, int]:
    first, _, end = frames.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise UserError(f"--frames {frames!r}: must read FIRST:END with FIRST < END, e.g. --frames 17:18")
    return {"first": int(first), "frames": int(end) - int(first)}
