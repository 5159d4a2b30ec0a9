# SPDX-License-Identifier: Apache-2.0
"""Estimates beside Yosys for a grid of stages; the honest source of the coefficients in hw/stages/cost.py.

Usage: python benchmarks/estimate.py [--fit] [--runs FOLDER ...] [--sweeps FILE ...] [--most LUT]
Each stage is emitted and mapped by itself (synth_xilinx, xc7) and kept in build/mapped by its content. Whole networks
are compared, too: with --runs every run that was synthesized (build/NAME, or the folder of a sweep), with --sweeps the
networks of these sweeps (up to --most estimated LUTs), not trained but with random weights and thresholds. Writes
benchmarks/estimate.md; --fit prints new coefficients (non-negative least squares of relative errors of the grid of
stages, so that no coefficient is fitted to networks).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adiabit.boards import catalog
from adiabit.flows.finn.folding import folded
from adiabit.flows.outline import outline
from adiabit.flows.sweep.plan import load_plan
from adiabit.flows.synthesize.cells import resources
from adiabit.flows.synthesize.figures import load as load_synthesis
from adiabit.flows.synthesize.parts import map_parts
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import rtl as emit_rtl
from adiabit.hw.estimate import resources_of
from adiabit.hw.folding.solve import NO_LIMIT
from adiabit.hw.stages import (
    Add,
    Concat,
    Fifo,
    Fork,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Stage,
    Stream,
    SumPool,
    Threshold,
    WidthConverter,
    Window,
    cost,
    signed_bits,
)

KEYS = {"lut": "LUT", "ff": "FF", "bram18": "BRAM18"}
OURS = {"lut": "luts", "ff": "ffs", "bram18": "bram18"}  # the fields of an estimate
MAPPED = Path("build/mapped")  # cells of stages that were mapped before
SHAPES = (  # MW, MH, SIMD, PE of XNOR layers
    (784, 64, 28, 1), (784, 64, 112, 8), (784, 16, 49, 4), (256, 32, 64, 4), (128, 32, 32, 8), (64, 64, 8, 1),
    (64, 64, 16, 4), (64, 64, 64, 2), (64, 64, 64, 8), (64, 10, 1, 1), (64, 10, 4, 1), (32, 32, 32, 32),
    (16, 16, 16, 16), (64, 10, 64, 10), (392, 20, 4, 1), (150, 12, 3, 1), (72, 20, 8, 1), (40, 24, 5, 2),
    (40, 24, 20, 4), (30, 12, 1, 1), (108, 18, 12, 3), (96, 32, 12, 8),
)  # fmt: skip

LEVELS = (  # MW, MH, SIMD, PE, and levels between registers
    (784, 256, 392, 4, 2), (256, 256, 256, 4, 2), (256, 256, 64, 16, 1), (256, 256, 64, 16, 3), (256, 64, 128, 8, 2),
    (128, 32, 128, 32, 1), (128, 32, 128, 32, 2), (64, 64, 64, 64, 3),
)  # fmt: skip

CONVERSIONS = (  # channels, and lanes before and after
    (784, 1, 28), (784, 28, 1), (784, 14, 112), (784, 112, 14), (64, 64, 8), (64, 1, 2), (64, 2, 1), (64, 4, 1),
    (96, 3, 6), (96, 2, 8), (96, 8, 2), (96, 6, 24), (48, 1, 16), (48, 16, 1), (60, 1, 5), (60, 20, 4), (100, 1, 10),
    (99, 1, 33),
)  # fmt: skip


REASONS = (  # of the errors that are left
    "What is left:", "",
    "- Control: Yosys shares LUTs among counters, comparisons and handshakes as they fall, some ten LUTs a stage. "
    "Networks of 150 to 300 LUT show it most.",
    "- Products with 8-bit pixels: sums that are equal or constant are merged.",
    "- Popcounts of constant weights: rows share as many LUTs as their weights allow; the estimate does not read them.",
    "- Weights of several bits, and thresholds that a stream chooses: terms go with bits and are fitted to few stages.",
    "- Registers: the mapper moves some through logic, and merges those that are always equal.", "",
)  # fmt: skip


def stream(name: str, channels: int, bits: int, lanes: int, kind: Kind | None = None) -> Stream:
    kind = kind or (Kind.BIPOLAR if bits == 1 else Kind.UNSIGNED)
    return Stream(name=name, shape=(channels,), bits=bits, kind=kind, lanes=lanes)


def product(
    mw: int, mh: int, simd: int, pe: int, *, bits: int = 1, weight_bits: int = 1, steps: int = 1, block: bool = False,
    levels: int = 2,
) -> MatrixVector:  # fmt: skip
    rng = np.random.default_rng(0)
    half = 2 ** (weight_bits - 1)
    weights = rng.choice([-1, 1], (mh, mw)) if weight_bits == 1 else rng.integers(-half, half, (mh, mw))
    source = stream("a", mw, bits, simd)
    wide = stream("b", mh, 32, pe, Kind.SIGNED)
    low, high = MatrixVector(name="s", inputs=(source,), outputs=(wide,), weights=weights).accumulator_range
    out = stream("b", mh, (steps + 1).bit_length() - 1, pe) if steps else None
    if out is None:
        kind = Kind.SIGNED if low < 0 else Kind.UNSIGNED
        out = stream("b", mh, signed_bits(low, high) if low < 0 else high.bit_length(), pe, kind)
    thresholds = np.sort(rng.normal((low + high) / 2, (high - low) / 12, (mh, steps)).astype(int), axis=1)
    return MatrixVector(
        name="s",
        inputs=(source,),
        outputs=(out,),
        weights=weights,
        thresholds=thresholds if steps else None,
        memory=Memory.HARDWIRED if (simd, pe) == (mw, mh) else Memory.BLOCK if block else Memory.LUT,
        levels=levels,
    )


def threshold(channels: int, lanes: int, *, uniform: bool, steps: int = 1) -> Threshold:
    drawn = np.sort(np.random.default_rng(0).integers(0, 257, (channels, steps)), axis=1)
    if uniform:
        drawn[:] = 128 if steps == 1 else drawn[0]
    return Threshold(
        name="s",
        inputs=(stream("a", channels, 8, lanes),),
        outputs=(stream("b", channels, (steps + 1).bit_length() - 1, lanes),),
        thresholds=drawn,
    )


def converter(channels: int, source: int, target: int, bits: int = 1) -> WidthConverter:
    given = stream("a", channels, bits, source)
    return WidthConverter(name="s", inputs=(given,), outputs=(dataclasses.replace(given, name="b", lanes=target),))


def label(channels: int, lanes: int, bits: int) -> LabelSelect:
    out = stream("b", 1, (channels - 1).bit_length(), 1, Kind.UNSIGNED)
    return LabelSelect(name="s", inputs=(stream("a", channels, bits, lanes, Kind.UNSIGNED),), outputs=(out,))


def image(name: str, shape: tuple[int, int, int], bits: int, lanes: int) -> Stream:
    kind = Kind.BIPOLAR if bits == 1 else Kind.UNSIGNED
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=lanes)


def window(side: int, channels: int, bits: int, lanes: int, *, parallel: bool = False) -> Window:
    given, down = image("a", (side, side, channels), bits, lanes), side - 2
    out = image("b", (down, down, 9 * channels), bits, 9 * channels if parallel else lanes)
    return Window(name="s", inputs=(given,), outputs=(out,), kernel=(3, 3))


def pad(side: int, channels: int, bits: int, lanes: int) -> Pad:
    given, out = (
        image("a", (side, side, channels), bits, lanes),
        image("b", (side + 2, side + 2, channels), bits, lanes),
    )
    return Pad(name="s", inputs=(given,), outputs=(out,), before=(1, 1), after=(1, 1), value=1)


def pool(side: int, channels: int, bits: int, lanes: int) -> Pool:
    given, half = image("a", (side, side, channels), bits, lanes), side // 2
    return Pool(name="s", inputs=(given,), outputs=(image("b", (half, half, channels), bits, lanes),), kernel=(2, 2))


def total(side: int, channels: int, lanes: int) -> SumPool:
    out = stream("b", channels, (side * side).bit_length(), lanes, Kind.UNSIGNED)
    return SumPool(
        name="s", inputs=(image("a", (side, side, channels), 1, lanes),), outputs=(out,), kernel=(side, side)
    )


def images() -> Iterator[tuple[str, Stage]]:
    for side, channels, bits, lanes in (
        (28, 1, 8, 1), (64, 1, 8, 1), (32, 3, 8, 3), (13, 16, 1, 4), (30, 64, 1, 32), (30, 64, 1, 4), (14, 64, 1, 32),
        (14, 32, 1, 32), (12, 128, 1, 32), (12, 128, 1, 8), (5, 128, 1, 32), (3, 256, 1, 2), (6, 32, 1, 32),
        (24, 1, 8, 1), (15, 6, 1, 1), (12, 12, 1, 2), (12, 24, 1, 6), (9, 12, 1, 12), (10, 10, 1, 5), (6, 16, 1, 2),
    ):  # fmt: skip
        yield f"Window 3x3 of {side}x{side}x{channels}, {bits} bits, SIMD {lanes}", window(side, channels, bits, lanes)
    for side, channels, bits in ((28, 1, 8), (32, 3, 8), (16, 16, 1), (16, 64, 1)):
        name = f"Window 3x3 of {side}x{side}x{channels}, {bits} bits, a window a cycle"
        yield name, window(side, channels, bits, channels, parallel=True)
    for side, channels, bits, lanes in ((28, 1, 8, 1), (32, 128, 1, 8), (8, 512, 1, 32)):
        yield f"Pad of {side}x{side}x{channels}, {bits} bits, {lanes} lanes", pad(side, channels, bits, lanes)
    for side, channels, bits, lanes in (
        (28, 64, 1, 32), (28, 64, 1, 2), (10, 128, 1, 16), (32, 4, 4, 4), (24, 12, 1, 1), (24, 12, 1, 6), (22, 6, 2, 1),
        (10, 24, 1, 3), (12, 32, 1, 4), (14, 10, 1, 10), (8, 16, 1, 1), (16, 8, 4, 2), (9, 20, 1, 2), (10, 64, 1, 64),
    ):  # fmt: skip
        yield f"Pool 2x2 of {side}x{side}x{channels}, {bits} bits, {lanes} lanes", pool(side, channels, bits, lanes)
    for side, channels, lanes in ((8, 64, 4), (4, 128, 32)):
        yield f"SumPool of {side}x{side}x{channels}, {lanes} lanes", total(side, channels, lanes)


def graphs() -> Iterator[tuple[str, Stage]]:
    """Stages with several inputs or outputs, and FIFOs."""
    signed = Kind.SIGNED
    for lanes, bits in ((1, 1), (16, 1), (8, 8)):
        for depth in (2, 3, 5, 9, 16, 32, 40, 200):
            ends = [stream(name, 64, bits, lanes) for name in "ab"]
            fifo = Fifo(name="s", inputs=(ends[0],), outputs=(ends[1],), depth=depth)
            yield f"FIFO of {depth} beats of {lanes} x {bits} bits", fifo
    for lanes, count in ((1, 2), (16, 2), (16, 4)):
        ends = [stream(name, 64, 2, lanes) for name in "abcde"[: count + 1]]
        yield f"Fork to {count}, {lanes} lanes of 2 bits", Fork(name="s", inputs=(ends[0],), outputs=tuple(ends[1:]))
    for lanes, bits in ((1, 4), (16, 4), (16, 8)):
        ins, out = [stream(name, 64, bits, lanes, signed) for name in "ab"], stream("c", 64, bits + 1, lanes, signed)
        yield f"Add of {lanes} lanes of {bits} bits", Add(name="s", inputs=tuple(ins), outputs=(out,))
    for lanes, out_lanes, count in ((4, 4, 2), (16, 16, 3), (64, 128, 2)):
        ins, out = [stream(name, 64, 1, lanes) for name in "abc"[:count]], stream("d", 64 * count, 1, out_lanes)
        name = f"Concat of {count} x 64 channels, {lanes} lanes"
        yield name, Concat(name="s", inputs=tuple(ins), outputs=(out,))
    for lanes, bits in ((4, 1), (16, 1), (16, 2)):
        steps = np.random.default_rng(0).integers(0, 128, (64, 2**bits, 1))
        chosen, out = (stream("a", 64, 7, lanes), stream("b", 64, bits, lanes)), stream("c", 64, 1, lanes)
        name = f"Threshold 64, chosen by {bits} bits, {lanes} lanes"
        yield name, Threshold(name="s", inputs=chosen, outputs=(out,), thresholds=steps)
    for bits in (1, 2):
        plain = product(64, 64, 8, 8)
        chosen = (plain.input, stream("c", 64, bits, 8))
        steps = np.random.default_rng(0).integers(20, 45, (64, 2**bits, 1))
        name = f"XNOR 64x64, SIMD 8, PE 8, chosen by {bits} bits"
        yield name, dataclasses.replace(plain, inputs=chosen, thresholds=steps)


def grid() -> Iterator[tuple[str, Stage]]:
    for mw, mh, simd, pe in SHAPES:
        fold = (mw // simd) * (mh // pe)
        if fold < 1024:  # a deeper ROM is put into block RAM by Yosys, whatever it is told
            yield f"XNOR {mw}x{mh}, SIMD {simd}, PE {pe}", product(mw, mh, simd, pe)
        if fold >= 64:
            yield f"XNOR {mw}x{mh}, SIMD {simd}, PE {pe}, block", product(mw, mh, simd, pe, block=True)
    for mw, mh, simd, pe in ((64, 10, 8, 2), (20, 10, 1, 1), (40, 12, 2, 1), (40, 10, 8, 5), (80, 10, 80, 1)):
        yield f"XNOR {mw}x{mh}, SIMD {simd}, PE {pe}, accumulators", product(mw, mh, simd, pe, steps=0)
    for mw, mh, simd, pe, levels in LEVELS:
        name = f"XNOR {mw}x{mh}, SIMD {simd}, PE {pe}, {levels} levels"
        yield name, product(mw, mh, simd, pe, levels=levels, block=mw * mh > 64 * simd * pe)
    for mw, mh, simd, pe in (
        (784, 64, 28, 2),
        (64, 16, 64, 4),
        (64, 16, 8, 2),
        (27, 64, 3, 16),
        (27, 16, 9, 4),
        (75, 32, 1, 8),
        (9, 12, 1, 1),
        (9, 20, 3, 1),
        (9, 12, 9, 3),
        (27, 20, 3, 2),
        (9, 12, 9, 12),
        (27, 8, 27, 8),
    ):
        yield f"8-bit x 1-bit {mw}x{mh}, SIMD {simd}, PE {pe}", product(mw, mh, simd, pe, bits=8, block=mw > 64)
    for simd, pe in ((8, 2), (32, 4)):
        yield f"2-bit x 4-bit 64x16, SIMD {simd}, PE {pe}", product(64, 16, simd, pe, bits=2, weight_bits=4, steps=3)
        yield f"1-bit x 4-bit 64x16, SIMD {simd}, PE {pe}", product(64, 16, simd, pe, weight_bits=4)
    for lanes in (1, 14, 112):
        yield f"Threshold 784, one for all, {lanes} lanes", threshold(784, lanes, uniform=True)
    for lanes, steps in ((4, 1), (64, 1), (16, 3)):
        yield f"Threshold 64, {steps} steps, {lanes} lanes", threshold(64, lanes, uniform=False, steps=steps)
    for channels, lanes, bits in ((16, 1, 8), (64, 1, 5), (64, 4, 5), (64, 4, 8)):
        stage = threshold(channels, lanes, uniform=channels < 64, steps=2**bits - 1)
        yield f"Threshold {channels}, {2**bits - 1} steps, {lanes} lanes", stage
    yield "8-bit x 1-bit 64x16, SIMD 8, PE 2, 255 steps", product(64, 16, 8, 2, bits=8, steps=255)
    for channels, source, target in CONVERSIONS:
        yield f"Converter {source} to {target} lanes", converter(channels, source, target)
    yield "Converter 16 to 4 lanes, 8 bits", converter(784, 16, 4, 8)
    for channels, lanes, bits in (
        (10, 1, 7),
        (10, 5, 10),
        (10, 10, 7),
        (12, 1, 5),
        (12, 2, 6),
        (12, 3, 8),
        (8, 1, 9),
        (8, 8, 5),
        (2, 1, 5),
        (100, 4, 8),
    ):
        yield f"LabelSelect of {channels}, {lanes} lanes, {bits} bits", label(channels, lanes, bits)
    yield from images()
    yield from graphs()


def surrounded(stage: Stage) -> Accelerator:
    """An accelerator of the stage, with a fork before several inputs, and a concatenation behind several outputs."""
    before: list[Stage] = []
    if len(stage.inputs) > 1:
        first = stage.inputs[0]
        ends = [dataclasses.replace(first, name=f"x{k}") for k in range(len(stage.inputs))]
        for k, (end, wanted) in enumerate(zip(ends, stage.inputs, strict=True)):
            if (end.bits, end.kind) == (wanted.bits, wanted.kind):
                ends[k] = wanted
            else:  # fewer bits
                steps = np.zeros((wanted.channels, 2**wanted.bits - 1), int)
                before.append(Threshold(name=f"t{k}", inputs=(end,), outputs=(wanted,), thresholds=steps))
        whole = dataclasses.replace(first, name="x")
        before.insert(0, Fork(name="f", inputs=(whole,), outputs=tuple(ends)))
    behind: list[Stage] = []
    if len(stage.outputs) > 1:
        channels = sum(s.channels for s in stage.outputs)
        out = dataclasses.replace(stage.outputs[0], name="y", shape=(channels,))
        behind.append(Concat(name="c", inputs=stage.outputs, outputs=(out,)))
    return Accelerator(name="alone", stages=(*before, stage, *behind))


def measure(stage: Stage) -> dict[str, int]:
    """What Yosys makes of a stage, mapped by itself."""
    MAPPED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        design = emit_rtl.emit(surrounded(stage), folder)
        found = map_parts(design, folder, "xc7", folder, folder, MAPPED.absolute(), {stage.name})
        return resources(found[stage.name]["cells"])


def measured() -> dict[str, dict[str, int]]:
    stages = dict(grid())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(stages, pool.map(measure, stages.values()), strict=True))


def fit(rows: list[tuple[Stage, dict[str, int]]], key: str, old: Mapping[str, float]) -> dict[str, float]:
    """Non-negative coefficients that make the sum of squared relative errors least."""
    from scipy.optimize import nnls  # type: ignore[import-untyped]

    exact = cost.EXACT if key == "lut" else cost.EXACT_FFS
    names = [name for name in old if name not in exact]
    terms = [stage.terms(stage.folding) for stage, _ in rows]
    matrix = np.array([[amounts.get(n, 0) for n in names] for amounts in terms], float)
    known = np.array([sum(amounts.get(n, 0) * c for n, c in exact.items()) for amounts in terms])
    target = np.array([row[key] for _, row in rows], float)
    weight = 1 / (target + 20)
    solution, _ = nnls(matrix * weight[:, None], (target - known) * weight)
    return {n: round(float(c), 3) for n, c in zip(names, solution, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Network:
    """An accelerator, and what Yosys made of each of its stages."""

    name: str
    source: str  # the set of networks that it belongs to
    accelerator: Accelerator
    cells: Mapping[str, Mapping[str, int]]  # resources by stage

    @property
    def rows(self) -> list[tuple[Stage, Mapping[str, int]]]:
        """Each stage and its resources."""
        return [(stage, self.cells[stage.name]) for stage in self.accelerator.stages]

    def total(self, key: str) -> int:
        """A resource of the whole network."""
        return sum(cells[key] for cells in self.cells.values())


def networks(roots: Sequence[Path]) -> list[Network]:
    """The runs in these folders, of `adiabit run` and of sweeps, that were mapped to Xilinx parts; equal ones once."""
    found: dict[str, Network] = {}
    for root in roots:
        for folder in sorted((root / "runs").iterdir()) if (root / "runs").is_dir() else [root]:
            compiled, mapped = folder / "compile", folder / "synthesize"
            if not (mapped / "synthesis.json").exists():
                continue
            synthesis = load_synthesis(mapped)
            if synthesis.family.startswith("xc"):
                label = f"{root.name}/{folder.name}" if folder != root else root.name
                cells = {row.name: {key: getattr(row, key) for key in KEYS} for row in synthesis.stages}
                network = Network(name=label, source="trained", accelerator=storage.load(compiled), cells=cells)
                found.setdefault(json.dumps([asdict(row) for row in synthesis.stages]), network)
    return list(found.values())


def untrained(path: Path) -> Iterator[tuple[str, Accelerator]]:
    """The networks of a sweep, folded as a run would fold them, with random weights and thresholds."""
    plan = load_plan(path)
    for point in plan.space.grid():
        recipe = plan.recipe(plan.trial(point, 0))
        board = catalog.load(recipe.target.board)
        stages = drawn(outline(recipe.model, recipe.data.source, recipe.compile))
        clock = recipe.target.clock_mhz or board.clock_mhz
        yield f"{path.stem}: {point}", folded(stages, recipe.compile.fold, board, clock)


def drawn(accelerator: Accelerator) -> Accelerator:
    """An outline with random weights and thresholds about the middle in place of its placeholders."""
    rng = np.random.default_rng(0)
    return dataclasses.replace(accelerator, stages=tuple(random_stage(stage, rng) for stage in accelerator.stages))


def random_stage(stage: Stage, rng: np.random.Generator) -> Stage:
    if isinstance(stage, Threshold) and stage.steps == 1:
        return dataclasses.replace(stage, thresholds=np.full_like(stage.thresholds, sum(stage.input.range) // 2 + 1))
    if not isinstance(stage, MatrixVector) or not stage.bipolar_weights:
        return stage
    weights = rng.choice([-1, 1], stage.weights.shape)
    if stage.thresholds is None:
        return dataclasses.replace(stage, weights=weights)
    low, high = stage.accumulator_range
    spread = (high - low) / 2 / stage.weights.shape[1] ** 0.5
    steps = np.sort(rng.normal((low + high) / 2, spread, stage.thresholds.shape).astype(int), axis=-1)
    return dataclasses.replace(stage, weights=weights, thresholds=steps)


def mapped(path: Path, most: int) -> list[Network]:
    """The networks of a sweep with up to `most` estimated LUTs, mapped."""
    found = {name: net for name, net in untrained(path) if resources_of(net).luts <= most}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = {name: {s.name: pool.submit(measure, s) for s in net.stages} for name, net in found.items()}
        cells = {name: {stage: one.result() for stage, one in each.items()} for name, each in rows.items()}
    return [Network(name=n, source=path.stem, accelerator=net, cells=cells[n]) for n, net in found.items()]


def errors(pairs: Sequence[tuple[float, float]]) -> str:
    """Cells of a row: median and ninth decile of the relative errors of (estimate, truth), and the rank correlation."""
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    known = [(guess, true) for guess, true in pairs if true]
    if not known:
        return "0 | | |"
    off = [abs(guess - true) / true for guess, true in known]
    varied = len({true for _, true in known}) > 2
    rank = f"{spearmanr(*zip(*known, strict=True)).statistic:.3f}" if varied else ""
    return f"{len(known)} | {np.median(off):.1%} | {np.quantile(off, 0.9):.1%} | {rank} |"


def told(found: Sequence[Network]) -> list[str]:
    """The section on networks: none of them was used to fit the coefficients."""
    sources = list(dict.fromkeys(network.source for network in found))
    lines = [
        "## Networks", "",
        f"{len(found)} networks, none of which the coefficients were fitted to. Those that are not called trained are "
        "the networks of a sweep with random weights. The terms were chosen with `sweep_digits` and `small_networks` "
        "in view; `sweep_mnist` was mapped after they were. Error: of the estimate, relative to Yosys. Rank: "
        "Spearman's correlation.", "",
        "| | Quantity | Number | Median error | Nine in ten within | Rank |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for title, some in [("all", found), *((s, [n for n in found if n.source == s]) for s in sources)]:
        for key, quantity in KEYS.items():
            totals = [(float(getattr(resources_of(n.accelerator), OURS[key])), float(n.total(key))) for n in some]
            lines.append(f"| whole networks, {title} | {quantity} | {errors(totals)}")
    kinds = sorted({type(stage).__name__ for network in found for stage in network.accelerator.stages})
    for kind in kinds:
        rows = [row for network in found for row in network.rows if type(row[0]).__name__ == kind]
        for key, title in KEYS.items():
            pairs = [(float(getattr(stage.cost(), OURS[key])), float(cells[key]))
                     for stage, cells in rows]  # fmt: skip
            if any(true for _, true in pairs):
                lines.append(f"| {kind} | {title} | {errors(pairs)}")
    return [*lines, ""]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print new coefficients")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders of runs and sweeps to compare with")
    parser.add_argument("--sweeps", type=Path, nargs="*", default=[], help="sweeps, whose networks are not trained")
    parser.add_argument("--most", type=int, default=NO_LIMIT, help="estimated LUTs of a network of these, at most")
    args = parser.parse_args(argv)
    found = measured()
    rows = [(stage, found[name]) for name, stage in grid()]
    if args.fit:
        print("LUTS =", json.dumps(fit(rows, "lut", cost.LUTS), indent=4))
        print("FFS =", json.dumps(fit(rows, "ff", cost.FFS), indent=4))
        return
    lines = [
        "# Estimates beside Yosys",
        "",
        "Stages of our own RTL, each mapped by itself by Yosys (synth_xilinx, xc7), beside `hw/stages/cost.py`.",
        "",
        "| Stage | LUT Yosys | LUT estimate | FF Yosys | FF estimate | BRAM18 Yosys | BRAM18 estimate |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    off: dict[str, list[float]] = {"LUTs": [], "flip-flops": []}
    for (name, stage), (_, row) in zip(grid(), rows, strict=True):
        ours = stage.cost()
        for what, guess, true in (("LUTs", ours.luts, row["lut"]), ("flip-flops", ours.ffs, row["ff"])):
            off[what].append(abs(guess - true) / true)
        lines.append(
            f"| {name} | {row['lut']} | {ours.luts} | {row['ff']} | {ours.ffs} | {row['bram18']} | {ours.bram18} |"
        )
    lines.append("")
    for what, found_errors in off.items():
        middle, ninth = np.median(found_errors), np.quantile(found_errors, 0.9)
        lines.append(f"Relative error of {what}: median {middle:.0%}, of nine in ten at most {ninth:.0%}.")
    if args.runs or args.sweeps:
        found_networks = [*networks(args.runs), *(net for path in args.sweeps for net in mapped(path, args.most))]
        lines[4:4] = [*told(found_networks), *REASONS, "## Stages", ""]
    Path("benchmarks/estimate.md").write_text("\n".join(lines) + "\n")
    print("benchmarks/estimate.md")


if __name__ == "__main__":
    main()
