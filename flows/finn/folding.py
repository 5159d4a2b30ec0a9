# SPDX-License-Identifier: Apache-2.0
"""From the recipe's `[compile.fold]` table to a folded accelerator."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from adiabit import files
from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows.finn.folding_json import from_finn_json
from adiabit.flows.frontend.config import FoldConfig
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.estimate import resources_of
from adiabit.hw.folding.buffers import Buffers, Rule, buffered
from adiabit.hw.folding.fold import refolded
from adiabit.hw.folding.memories import placed
from adiabit.hw.folding.pipelining import pipelined
from adiabit.hw.folding.solve import fits, solve, solve_luts, solve_room
from adiabit.hw.stages import Folding, Memory
from adiabit.hw.stages.cost import Resources

LOGIC, BLOCKS = 0.5, 0.9  # usable shares: the rest is for the system around, estimation error, place and route


def folded(accelerator: Accelerator, config: FoldConfig, board: Board, clock_mhz: float) -> Accelerator:
    """Fold the accelerator as the table says, pipelined for the clock; `UserError` if that is impossible."""
    accelerator = pipelined(accelerator, clock_mhz, board.level_ns, board.memory_ns)
    buffers: Buffers = Rule(config.buffers) if isinstance(config.buffers, str) else config.buffers
    blocks = room(board, LOGIC, BLOCKS).bram18 if config.bram18 is None else config.bram18
    if config.luts is not None:
        return solve_luts(accelerator, luts=config.luts, blocks=blocks, buffers=buffers, lut_words=_lut_words(board))
    if config.stages is not None:
        by_hand = {name: Folding(pe=f.pe, simd=f.simd, memory=Memory(f.memory)) for name, f in config.stages.items()}
        lanes = refolded(accelerator, by_hand)
    elif config.finn_json is not None:
        lanes = refolded(accelerator, from_finn_json(accelerator, _read(config.finn_json)))
    elif config.fps is not None:
        lanes = _at_rate(accelerator, config.fps, board, clock_mhz)
    else:
        return _as_fast_as_fits(accelerator, board, buffers, config.bram18)
    return buffered(placed(lanes, blocks, _lut_words(board)), buffers)


def _lut_words(board: Board) -> int:
    """Words of a bit that a LUT of the board's part holds."""
    return int(2**board.lut_inputs)


def _at_rate(accelerator: Accelerator, fps: float, board: Board, clock_mhz: float) -> Accelerator:
    """The folding for a frame rate, without FIFOs."""
    try:
        return solve(accelerator, fps=fps, clock_hz=clock_mhz * 1e6, buffers={})
    except UserError as error:
        if advice := fitting_rate(accelerator, board, clock_mhz):
            raise UserError(f"{error}, and {advice}") from error
        raise


def _as_fast_as_fits(accelerator: Accelerator, board: Board, buffers: Buffers, blocks: int | None) -> Accelerator:
    """The fastest folding within the usable shares of the part, else the fastest on the whole part."""
    whole = room(board)
    for space in (room(board, LOGIC, BLOCKS), whole):
        if fits(found := solve_room(accelerator, space, buffers, blocks=blocks, lut_words=_lut_words(board)), space):
            return found
    needed, holds = (dataclasses.asdict(r) for r in (resources_of(found), whole))
    over = ", ".join(f"{needed[key]:,} {key} (of {holds[key]:,})" for key in needed if needed[key] > holds[key])
    raise UserError(
        f"folding: even the smallest folding needs about {over} on {board.title}; choose a larger board (target.board) "
        "or a smaller network"
    )


def room(board: Board, logic: float = 1.0, blocks: float = 1.0) -> Resources:
    """The resources of a board's part, or the given shares of its logic and of its block RAMs."""
    luts, ffs = int(logic * board.luts), int(logic * board.ffs)
    return Resources(luts=luts, ffs=ffs, bram18=int(blocks * board.bram18), dsps=board.dsps)


def fitting_rate(accelerator: Accelerator, board: Board, clock_mhz: float) -> str:
    """The highest `compile.fold.fps` whose estimate fits the whole part, as a phrase; empty if none does."""
    found = solve_room(accelerator, room(board), lut_words=_lut_words(board))
    if not fits(found, room(board)):
        return ""
    return f"compile.fold.fps={int(clock_mhz * 1e6 / found.cycles)} is the most that fits {board.name}"


def _read(path: Path) -> dict[str, Any]:
    text = files.read_text(path, "give the path of FINN's folding JSON")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); give FINN's folding JSON") from error
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: a JSON {type(document).__name__}; an object of nodes is needed; give FINN's folding JSON"
        )
    return document
