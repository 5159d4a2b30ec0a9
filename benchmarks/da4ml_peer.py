# SPDX-License-Identifier: Apache-2.0
"""Dense ±1 layers, unrolled by da4ml (Sun et al., Distributed Arithmetic for Real-time Neural Networks on FPGAs, 2025).

    python benchmarks/da4ml_peer.py ACCELERATOR OUT      (needs `pip install da4ml==0.6.0`)

ACCELERATOR is the folder of a compiled chain of dense layers. da4ml gets the same weights and thresholds, with the same
bits as inputs and the sums of the last layer as outputs, so without the selection of a label, and its own pipelining.
Its logic is compared with our golden model by da4ml's own simulation, and mapped by the same Yosys.
OUT/da4ml.json receives its cells and pipeline stages.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adiabit.flows import toolchain
from adiabit.flows.synthesize.cells import resources
from adiabit.hw import golden, storage
from adiabit.hw.stages import MatrixVector

if TYPE_CHECKING:
    from adiabit.hw.accelerator import Accelerator

FRAMES = 1000
CUTOFF = 5  # latency between registers, in adders of a bit


def layers(accelerator: Accelerator) -> list[MatrixVector]:
    """The dense layers."""
    return [stage for stage in accelerator.stages if isinstance(stage, MatrixVector)]


def unrolled(accelerator: Accelerator) -> Any:
    """The layers as da4ml's logic: a bit is 0 for -1, so a popcount of agreeing bits is W x less a constant."""
    from da4ml.trace import FixedVariableArray, comb_trace  # type: ignore[import-not-found]  # an option

    width = layers(accelerator)[0].weights.shape[1]
    ones, zeros = np.ones(width), np.zeros(width)
    values = first = FixedVariableArray.from_lhs(zeros, ones, ones)
    for layer in layers(accelerator):
        weights = np.asarray(layer.weights, np.float64)
        values = values @ weights.T
        if layer.thresholds is not None:
            values = values >= layer.thresholds[:, 0] - (weights.shape[1] - weights.sum(axis=1)) / 2
    return comb_trace(first, values)


def differing(accelerator: Accelerator, logic: Any) -> int:
    """Frames whose sums differ from our golden model's."""
    first, last = layers(accelerator)[0], layers(accelerator)[-1]
    after = accelerator.stages[accelerator.stages.index(first) :]
    chain = dataclasses.replace(accelerator, stages=after[: after.index(last) + 1])
    signs = np.random.default_rng(0).choice([-1, 1], (FRAMES, first.weights.shape[1]))
    weights = np.asarray(last.weights)
    sums = golden.run(chain, signs).reshape(FRAMES, -1) - (weights.shape[1] - weights.sum(axis=1)) // 2
    theirs = logic.predict((signs > 0).astype(np.float64)).reshape(FRAMES, -1)
    return int(np.any(theirs != sums, axis=1).sum())


def main() -> None:
    """Unroll, compare and map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("accelerator", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    from da4ml.codegen import VerilogModel  # type: ignore[import-not-found]
    from da4ml.trace import to_pipeline

    accelerator, out = storage.load(args.accelerator), args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    logic = unrolled(accelerator)
    seconds = time.monotonic() - start
    if wrong := differing(accelerator, logic):
        raise SystemExit(f"{wrong} of {FRAMES} frames differ from our golden model")
    pipeline = to_pipeline(logic, CUTOFF)
    VerilogModel(pipeline, "unrolled", out / "project").write()
    sources = sorted(str(path) for path in (out / "project" / "src").rglob("*.v") if "wrapper" not in path.name)
    job = {"top": "unrolled", "parameters": {}, "sources": sources, "boxes": [], "family": "xcup", "timing": False}
    (out / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "adiabit.flows.synthesize.yosys", out / "job.json", out / "result.json"]
    toolchain.run_tool(command, cwd=out / "project", log=out / "yosys.log")
    cells = json.loads((out / "result.json").read_text())["cells"]
    found = {**resources(cells), "stages": len(pipeline.solutions), "solver_seconds": round(seconds), "frames": FRAMES}
    (out / "da4ml.json").write_text(json.dumps(found, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
