# SPDX-License-Identifier: Apache-2.0
"""From the recipe's `[compile.fold]` table to a folded accelerator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adiabit.errors import UserError
from adiabit.flows.compile.config import FoldConfig
from adiabit.hw.accelerator import Accelerator, Memory
from adiabit.hw.finn_json import from_finn_json
from adiabit.hw.fold import Folding, apply
from adiabit.hw.solve import solve, solve_luts


def folded(accelerator: Accelerator, config: FoldConfig, clock_mhz: float) -> Accelerator:
    """Fold as the table says; `UserError` where that cannot be."""
    if config.luts is not None:
        return solve_luts(accelerator, luts=config.luts)
    if config.stages is not None:
        by_hand = {name: Folding(pe=f.pe, simd=f.simd, memory=Memory(f.memory)) for name, f in config.stages.items()}
        return apply(accelerator, by_hand)
    if config.finn_json is not None:
        return apply(accelerator, from_finn_json(accelerator, _read(config.finn_json)))
    assert config.fps is not None  # noqa: S101  # FoldConfig holds exactly one of the four
    return solve(accelerator, fps=config.fps, clock_hz=clock_mhz * 1e6)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give the path of FINN's folding JSON") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); give FINN's folding JSON") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: holds a {type(document).__name__}; FINN's folding JSON is a table of nodes")
    return document
