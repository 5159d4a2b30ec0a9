# SPDX-License-Identifier: Apache-2.0
"""The simulations side by side, on one accelerator in one run; writes benchmarks/simulation.md.

Usage: python benchmarks/simulation.py [FRAMES] [--data DIR]

The network is a TFC (784-64-64-64-10, one bit) with random weights. The C++ bench of the RTL and the C simulation of
the HLS C++ run all frames and record every beat of every stream; cocotb runs the first 100 through the same RTL top,
with a bare loop of handshakes: no bus library, no comparison. The golden model computes all streams.

With CIFAR-10 in DIR, its whole test split passes through the RTL of the CNV in benchmarks/checkpoints, at its recipe's
folding: by one process, then by as many as there are cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from adiabit.flows import toolchain
from adiabit.flows.ladder import StageName, Vectors, load_rungs
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.csim import simulate_c
from adiabit.flows.simulate.stage import simulate
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.packing import pack
from adiabit.hw.stages import Kind, LabelSelect, MatrixVector, Stage, Stream, Threshold
from adiabit.train.data import load_test

HERE = Path(__file__).parent

COCOTB_FRAMES = 100
SIZES, LANES = (784, 64, 64, 64, 10), (49, 16, 16, 16, 10)


def tfc(seed: int = 0) -> Accelerator:
    """Random weights; 64 cycles a frame."""
    rng = np.random.default_rng(seed)
    image = Stream(name="image", shape=(SIZES[0],), bits=8, kind=Kind.UNSIGNED, lanes=LANES[0])
    stream = Stream(name="pixels", shape=(SIZES[0],), bits=1, kind=Kind.BIPOLAR, lanes=LANES[0])
    stages: list[Stage] = [
        Threshold(name="binarize", inputs=(image,), outputs=(stream,), thresholds=np.full((SIZES[0], 1), 128))
    ]
    for i, (columns, rows) in enumerate(itertools.pairwise(SIZES), 1):
        last = rows == SIZES[-1]
        bits, kind = (columns.bit_length(), Kind.UNSIGNED) if last else (1, Kind.BIPOLAR)
        result = Stream(name=f"y{i}", shape=(rows,), bits=bits, kind=kind, lanes=LANES[i])
        weights = rng.choice([-1, 1], (rows, columns))
        thresholds = None if last else columns // 2 + rng.integers(-5, 6, (rows, 1))
        layer = MatrixVector(name=f"fc{i}", inputs=(stream,), outputs=(result,), weights=weights, thresholds=thresholds)
        stages.append(layer)
        stream = result
    label = Stream(name="label", shape=(1,), bits=4, kind=Kind.UNSIGNED, lanes=1)
    stages.append(LabelSelect(name="top1", inputs=(stream,), outputs=(label,)))
    return Accelerator(name="tfc", stages=tuple(stages))


@cocotb.test()  # type: ignore[untyped-decorator]
async def stream_frames(dut: Any) -> None:
    """Run inside cocotb: the beats of a file through the top, back to back; the time of the loop goes to a file."""
    job = json.loads(Path(os.environ["JOB"]).read_text())
    beats = [int(beat, 16) for beat in job["beats"]]
    Clock(dut.clk_i, 10, "ns").start()
    dut.rst_ni.value = 0
    dut.s_axis_tvalid.value = 0
    dut.m_axis_tready.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    dut.s_axis_tdata.value = beats[0]
    dut.s_axis_tvalid.value = 1
    labels: list[int] = []
    sent = cycles = 0
    start = time.perf_counter()
    while len(labels) < job["frames"]:
        await RisingEdge(dut.clk_i)  # reads what was there before the edge
        cycles += 1
        if sent < len(beats) and dut.s_axis_tready.value:
            sent += 1
            if sent < len(beats):
                dut.s_axis_tdata.value = beats[sent]
            else:
                dut.s_axis_tvalid.value = 0
        if dut.m_axis_tvalid.value:
            labels.append(int(dut.m_axis_tdata.value))
        if cycles > job["limit"]:
            raise RuntimeError("the design hangs")
    seconds = time.perf_counter() - start
    Path(job["result"]).write_text(json.dumps({"seconds": seconds, "cycles": cycles, "labels": labels}))


def run_cocotb(accelerator: Accelerator, rtl: Path, frames: np.ndarray[Any, Any], work: Path) -> dict[str, Any]:
    """Build and run the same top under cocotb; seconds, cycles, and the labels, which must be the golden model's."""
    from cocotb_tools.runner import get_runner

    design = json.loads((rtl / "design.json").read_text())
    beats = pack(accelerator.input, frames).reshape(-1, accelerator.input.width // 8)
    job = {
        "beats": [beat[::-1].tobytes().hex() for beat in beats],
        "frames": len(frames),
        "limit": 100 * accelerator.cycles * len(frames),
        "result": str(work / "result.json"),
    }
    (work / "job.json").write_text(json.dumps(job))
    os.environ.update(toolchain.environment())
    runner = get_runner("verilator")
    start = time.perf_counter()
    runner.build(
        sources=[rtl / source for source in design["sources"]],
        hdl_toplevel=design["top"],
        build_dir=work / "cocotb",
        build_args=["-Wno-fatal", "--no-assert", "-O3"],
        log_file=work / "build.log",
    )
    build = time.perf_counter() - start
    runner.test(
        hdl_toplevel=design["top"],
        test_module="simulation",
        test_dir=rtl,
        build_dir=work / "cocotb",
        extra_env={"JOB": str(work / "job.json"), "PYTHONPATH": str(Path(__file__).parent)},
        results_xml=str(work / "results.xml"),
        log_file=work / "test.log",
    )
    result: dict[str, Any] = json.loads((work / "result.json").read_text())
    if result["labels"] != golden.run(accelerator, frames)[:, 0].tolist():
        raise RuntimeError("cocotb saw labels that are not the golden model's")
    return {**result, "build": build}


def run_stage(
    stage: Callable[..., None], accelerator: Accelerator, sources: Path, frames: np.ndarray[Any, Any], work: Path
) -> dict[str, Any]:
    """Run the stage `simulate` or `csim`; its figures and the seconds of the whole of it."""
    (made := work / f"{sources.name}_accelerator").mkdir()
    storage.save(accelerator, made)
    return timed(stage, made, sources, frames, np.full(len(frames), -1), work / f"{sources.name}_out", SimulateConfig())


def timed(
    stage: Callable[..., None], made: Path, sources: Path, frames: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any], out: Path, config: SimulateConfig,
) -> dict[str, Any]:  # fmt: skip
    """The figures of a stage, its rung, and the seconds of the whole of it."""
    out.mkdir()
    nothing = np.zeros((len(frames), 1), np.float32)
    vectors = Vectors(frames=frames, labels=labels, logits=nothing, predictions=labels)
    start = time.perf_counter()
    stage(made, sources, vectors, out, config)
    whole = time.perf_counter() - start
    (rung,) = load_rungs(out)
    if rung.status != "equal":
        raise RuntimeError(rung.difference)
    return {**json.loads((out / "simulation.json").read_text()), "whole": whole, "rung": rung}


def run_cnv(data: Path, work: Path) -> list[str]:
    """The whole test split through a CNV's RTL, by one process and by as many as there are cores."""
    checkpoint = (HERE / "checkpoints" / "cnv").absolute()
    recipe = load(HERE.parent / "recipes" / "cnv.toml", [f"data.dir='{data.absolute()}'", f"checkpoint='{checkpoint}'"])
    pipeline = Pipeline(recipe, work / "cnv")
    made, rtl = pipeline.folder(StageName.COMPILE), pipeline.folder(StageName.EMIT)
    split = load_test(recipe.data)
    rows, found = list[str](), list[dict[str, Any]]()
    for jobs in dict.fromkeys((1, toolchain.cores())):
        config = SimulateConfig(jobs=jobs)
        one = timed(simulate, made, rtl, split.frames, split.labels, work / f"cnv_{jobs}", config)
        found.append(one)
        rows.append(
            f"| {jobs} | {one['seconds_build']:.1f} | {one['seconds_run']:.0f} | {one['whole']:.0f} | "
            f"{one['frames'] / one['seconds_run']:.1f} | {one['seconds_run'] / found[0]['seconds_run']:.2f} |"
        )
    if any(one["rung"] != found[0]["rung"] or one["stalls"] != found[0]["stalls"] for one in found):
        raise RuntimeError("the results depend on the number of processes")
    first = found[0]
    return [
        f"{first['frames']:,} frames of CIFAR-10, {first['cycles_per_frame']:,} cycles each, and "
        f"{first['random_stall_frames']} of them again with random stalls; every beat of every stream equals the "
        f"golden model, {100 * first['rung'].accuracy:.2f} % of the labels are right. Results and counted cycles are "
        "the same for any number of processes.",
        "",
        "| processes | build, s | run and comparison, s | whole stage, s | frames/s | run to that of one process |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]


def run_golden(accelerator: Accelerator, frames: np.ndarray[Any, Any]) -> float:
    """Frames a second of the golden model."""
    start = time.perf_counter()
    golden.run(accelerator, frames)
    return len(frames) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=int, nargs="?", default=10_000)
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10's binary version")
    args = parser.parse_args()
    count = args.frames
    accelerator = tfc()
    frames = np.random.default_rng(1).integers(0, 256, (count, SIZES[0])).astype(np.uint8)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (rtl := work / "rtl").mkdir()
        emit_rtl.emit(accelerator, rtl)
        (hls := work / "hls").mkdir()
        emit_hls.emit(accelerator, hls, part="xc7z020clg400-1", clock_mhz=100.0)
        bench = run_stage(simulate, accelerator, rtl, frames, work)
        program = run_stage(simulate_c, accelerator, hls, frames, work)
        reference = run_golden(accelerator, frames)
        peer = run_cocotb(accelerator, rtl, frames[:COCOTB_FRAMES], work)
        large = run_cnv(args.data, work) if args.data else ["Not run: it takes --data DIR."]
    ours, theirs = bench["cycles_per_second"], peer["cycles"] / peer["seconds"]
    per_frame = bench["cycles_per_frame"]
    lines = [
        "# Speed of the simulation",
        "",
        f"A TFC, {'-'.join(map(str, SIZES))} with one bit and random weights, {per_frame} cycles a frame: "
        f"{count:,} frames, of which cocotb ran {COCOTB_FRAMES}. {os.cpu_count()} cores, "
        f"{platform.machine()}, Verilator {metadata.version('verilator')}, cocotb {metadata.version('cocotb')}, "
        f"{'with' if toolchain.environment().get('OBJCACHE') else 'without'} ccache.",
        "",
        f"    python benchmarks/simulation.py {count} --data DIR",
        "",
        "| | build, s | cycles/s | frames/s | faster than cocotb by a factor of |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| golden model, numpy | — | — | {reference:,.0f} | {reference * per_frame / theirs:,.0f} |",
        f"| HLS C simulation, every beat of every stream recorded | {program['seconds_build']:.1f} | — | "
        f"{program['frames_per_second']:,.0f} | {program['frames_per_second'] * per_frame / theirs:,.0f} |",
        f"| RTL, C++ bench, every beat of every stream recorded | {bench['seconds_build']:.1f} | {ours:,.0f} | "
        f"{ours / per_frame:,.0f} | {ours / theirs:,.0f} |",
        f"| RTL, cocotb, a loop of handshakes | {peer['build']:.1f} | {theirs:,.0f} | {theirs / per_frame:,.0f} | 1 |",
        "",
        f"The whole stage `csim`, {count:,} frames: {program['whole']:.1f} s, the build and the comparison with the "
        "golden model included.",
        "",
        f"The whole stage `simulate`, {count:,} frames: {bench['whole']:.1f} s. That is the build, and "
        f"{bench['seconds_run']:.1f} s for all frames at full speed and {bench['random_stall_frames']} with random "
        "stalls, every beat compared with the golden model.",
        "",
        "## A CNV",
        "",
        *large,
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
