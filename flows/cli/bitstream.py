# SPDX-License-Identifier: Apache-2.0
"""`adiabit bitstream` and `adiabit package`: the files for a board."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from adiabit.errors import UserError
from adiabit.flows.cli.output import made, tell
from adiabit.flows.cli.verb import BoardOption, FreshOption, Request, show_outcome, verb
from adiabit.flows.ladder import StageName


@verb("bitstream")
def bitstream(request: Request, board: BoardOption = None, fresh: FreshOption = False) -> int:
    """Make the bitstream for a board, with open tools or Vivado; without Vivado, make the project that it builds."""
    from adiabit.flows.bitstream import project

    pipeline = request.pipeline([StageName.BITSTREAM] if fresh else (), board)
    folder = pipeline.folder(StageName.BITSTREAM)
    code = show_outcome(pipeline)
    if pipeline.board.shell != "uart" and project.tool() is None:
        command = f"cd {shlex.quote(str(folder))} && vivado -mode batch -source build.tcl"
        tell(f"Vivado is not on PATH; on a machine that has it: {command}")
    made(folder)
    return code


@verb("package")
def package(
    request: Request,
    board: BoardOption = None,
    bit: Annotated[
        Path | None, typer.Option("--bit", help="A bitstream built elsewhere, with its .hwh file beside it.")
    ] = None,
) -> int:
    """Make the archive for a PYNQ board: bitstream, driver, vectors, notebook."""
    from adiabit.flows.bitstream.package import package as archive

    pipeline = request.pipeline(board=board)
    if pipeline.board.shell == "uart":
        raise UserError(
            f"{pipeline.board.name}: not a PYNQ board; package makes archives for PYNQ; `adiabit bitstream` leaves all "
            "that this board needs in one folder"
        )
    place = pipeline.out / f"{pipeline.recipe.name}-{pipeline.board.name}.zip"
    archive(pipeline.folder(StageName.BITSTREAM), pipeline.recipe.name, bit, place)
    code = show_outcome(pipeline)
    made(place)
    return code
