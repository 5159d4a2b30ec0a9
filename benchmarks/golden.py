# SPDX-License-Identifier: Apache-2.0
"""Golden model against QONNX execution and torch float32 on one network; writes benchmarks/golden.md.

Usage: python benchmarks/golden.py [RECIPE]   (the recipe's stages up to compile are made first)
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from adiabit.flows.finn.execute import run_qonnx
from adiabit.flows.ladder import StageName, Vectors
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.hw import golden, storage
from adiabit.train.loop import load_model

ROUNDS = 7


def seconds(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    function()  # warm up
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    recipe = Path(sys.argv[1] if len(sys.argv) > 1 else "recipes/digits.toml")
    pipeline = Pipeline(load(recipe), Path("build") / recipe.stem)
    accelerator = storage.load(pipeline.folder(StageName.COMPILE))
    vectors = Vectors.load(pipeline.folder(StageName.EXPORT))
    model = load_model(pipeline.folder(StageName.TRAIN)).eval()
    frames = np.resize(vectors.frames, (10_000, *vectors.frames.shape[1:]))
    pixels = torch.from_numpy(frames.astype(np.float32))

    with torch.no_grad():
        peer = seconds(lambda: model(pixels))
    ours = seconds(lambda: golden.run(accelerator, frames))
    onnx, few = pipeline.folder(StageName.EXPORT) / "model.onnx", frames[:1000]
    batches = seconds(lambda: run_qonnx(onnx, few), rounds=3) * len(frames) / len(few)
    plain = ModelWrapper(str(onnx)).transform(InferShapes())
    source = plain.graph.input[0].name
    inputs = [{source: frame.astype(np.float32).reshape(plain.get_tensor_shape(source))} for frame in frames[:100]]
    single = seconds(lambda: [execute_onnx(plain, each) for each in inputs], rounds=3) * len(frames) / len(inputs)

    rows = [
        ("golden (`hw/golden.py`)", ours),
        ("torch float32, eval, hard", peer),
        ("QONNX execution, as the ladder runs it: our batches", batches),
        ("QONNX execution, `qonnx.core.onnx_exec.execute_onnx` of the model as it is: a frame at a time", single),
    ]
    lines = [
        "# Speed of the golden model",
        "",
        f"{recipe.stem}, 10,000 frames, medians; {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads. QONNX ran 1,000 frames in batches and 100 singly; its figures are scaled.",
        "",
        f"    python benchmarks/golden.py {recipe}",
        "",
        "| rung | frames/s | golden is faster by a factor of |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {len(frames) / t:,.0f} | {t / ours:,.1f} |" for name, t in rows),
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
