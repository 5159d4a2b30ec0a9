# SPDX-License-Identifier: Apache-2.0
"""Every module in simulation: small accelerators with the parameters' corners, all in one bench top, one build."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adiabit.flows import toolchain
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.flows.simulate import stage as simulation
from adiabit.hw import emit_rtl, golden, storage
from adiabit.hw.accelerator import (
    Accelerator,
    Fifo,
    GlobalSum,
    Kind,
    LabelSelect,
    MatrixVector,
    Memory,
    Pad,
    Pool,
    Stage,
    Stream,
    Threshold,
    WidthConverter,
    Window,
    divisors,
)
from adiabit.hw.golden import accumulators

HERE = Path(__file__).parent
B, U, S = Kind.BIPOLAR, Kind.UNSIGNED, Kind.SIGNED


def stream(name: str, shape: tuple[int, ...], bits: int, kind: Kind, lanes: int) -> Stream:
    return Stream(name=name, shape=shape, bits=bits, kind=kind, lanes=lanes)


def some_frames(stream: Stream, rng: np.random.Generator, frames: int) -> Any:
    low, high = stream.range
    values = rng.integers(low, high, (frames, *stream.shape), endpoint=True)
    return np.where(values > 0, 1, -1) if stream.kind is B else values


class Chain:
    """Builds an accelerator stage by stage; random parameters, seeded by the name."""

    def __init__(self, name: str, shape: tuple[int, ...], bits: int, kind: Kind, lanes: int) -> None:
        self.name, self.stages = name, list[Stage]()
        self.rng = np.random.default_rng(list(name.encode()))
        self.here = stream("x", shape, bits, kind, lanes)

    def _add(self, cls: Any, out: Stream, **fields: Any) -> Chain:
        name = f"{self.name}_{len(self.stages)}"  # the memory files of all accelerators share a folder
        self.stages.append(cls(name=name, inputs=(self.here,), outputs=(out,), **fields))
        self.here = out
        return self

    def _next(self, **changes: Any) -> Stream:
        fields = {f: getattr(self.here, f) for f in ("shape", "bits", "kind", "lanes")}
        return stream(f"y{len(self.stages)}", **(fields | changes))

    def _thresholds(self, values: Any, out: Stream, low: int, high: int) -> Any:
        """Out of `values` (n, channels), so that equality is met; first: always, never, only the largest, beyond."""
        steps = 1 if out.kind is B else 2**out.bits - 1
        thresholds = self.rng.permuted(values, axis=0)[:steps].T
        most = values[:, :3].max(axis=0)[-1]
        corners = np.array([low, high + 1, most, low - 7, high + 1000])[: len(thresholds)]
        thresholds[: len(corners), 0] = corners
        return np.sort(thresholds, axis=1)

    def threshold(self, bits: int, kind: Kind) -> Chain:
        """Thresholds to `bits`."""
        out = self._next(bits=bits, kind=kind)
        values = some_frames(self.here, self.rng, 64).reshape(-1, out.channels)
        return self._add(Threshold, out, thresholds=self._thresholds(values, out, *self.here.range))

    def mvu(
        self,
        rows: int,
        pe: int,
        *,
        weights: int = 1,
        out: tuple[int, Kind] | None = (1, B),
        flat: bool = False,
        **fields: Any,
    ) -> Chain:
        """A matrix: `weights` bits a weight; `out` None puts out the accumulator; `flat` drops the image's shape."""
        shape = (rows, self.here.channels)
        high = 2 ** (weights - 1)
        values = self.rng.choice([-1, 1], shape) if weights == 1 else self.rng.integers(-high, high, shape)
        if weights > 1:
            values.flat[0] = -high
        probe = MatrixVector.__new__(MatrixVector)  # to ask for the accumulator's range before the thresholds are there
        for field, value in {"name": "probe", "weights": values, "inputs": (self.here,)}.items():
            object.__setattr__(probe, field, value)
        low, high = probe.accumulator_range
        if out is None:
            bits, kind = (high.bit_length(), U) if probe.xnor else (probe.accumulator_bits, S)
            result = self._next(shape=(*self.here.shape[:-1], rows), bits=bits, kind=kind, lanes=pe)
            return self._add(MatrixVector, result, weights=values, **fields)
        made = (*self.here.shape[:-1], rows)
        result = self._next(shape=(math.prod(made),) if flat else made, bits=out[0], kind=out[1], lanes=pe)
        frames = some_frames(self.here, self.rng, 64)
        least, most = self.here.range
        frames[0] = np.where(values[min(2, rows - 1)] > 0, most, least)  # what the bench sends too
        sums = accumulators(probe, frames).reshape(-1, rows).astype(np.int64)
        thresholds = self._thresholds(sums, result, low, high)  # of as many channels as `sums` has
        return self._add(MatrixVector, result, weights=values, thresholds=thresholds, **fields)

    def lanes(self, lanes: int) -> Chain:
        """Another number of lanes."""
        return self._add(WidthConverter, self._next(lanes=lanes))

    def fifo(self, depth: int) -> Chain:
        """A FIFO."""
        return self._add(Fifo, self._next(), depth=depth)

    def window(self, kernel: tuple[int, int], *, parallel: bool = False, flat: bool = False, **fields: Any) -> Chain:
        """Windows of an image; `flat`: as pixels in a row, for a pool."""
        probe = Window.__new__(Window)
        for name, value in {"inputs": (self.here,), "kernel": kernel, "stride": (1, 1), "dilation": (1, 1),
                            **fields}.items():  # fmt: skip
            object.__setattr__(probe, name, value)
        (rows, columns), pixels, channels = probe.grid, kernel[0] * kernel[1], self.here.channels
        shape = (rows, columns * pixels, channels) if flat else (rows, columns, pixels * channels)
        lanes = pixels * channels if parallel else self.here.lanes
        return self._add(Window, self._next(shape=shape, lanes=lanes), kernel=kernel, **fields)

    def pad(self, before: tuple[int, int], after: tuple[int, int], value: int) -> Chain:
        """Values around an image."""
        height, width, channels = self.here.shape
        shape = (before[0] + height + after[0], before[1] + width + after[1], channels)
        return self._add(Pad, self._next(shape=shape), before=before, after=after, value=value)

    def pool(self, kernel: tuple[int, int]) -> Chain:
        """The largest of each block."""
        height, width, channels = self.here.shape
        return self._add(Pool, self._next(shape=(height // kernel[0], width // kernel[1], channels)), kernel=kernel)

    def total(self, bits: int, kind: Kind) -> Chain:
        """Each channel's sum."""
        return self._add(GlobalSum, self._next(shape=(self.here.channels,), bits=bits, kind=kind))

    def label(self) -> Chain:
        """The label."""
        bits = max(1, (self.here.elements - 1).bit_length())
        return self._add(LabelSelect, self._next(shape=(1,), bits=bits, kind=U, lanes=1))

    def end(self) -> Accelerator:
        """What was built."""
        return Accelerator(name=self.name, stages=tuple(self.stages))


def designs() -> Iterator[Accelerator]:
    """The corners of each module, then whole networks."""
    yield Chain("threshold_u8", (12,), 8, U, 3).threshold(1, B).end()
    yield Chain("threshold_s4_steps", (5,), 4, S, 1).threshold(2, U).end()
    yield Chain("threshold_bipolar", (2, 6), 1, B, 6).threshold(1, B).end()
    yield Chain("threshold_one", (1,), 3, U, 1).threshold(1, U).end()

    yield Chain("xnor_63", (63,), 1, B, 9).mvu(6, 2).end()  # threshold 64 needs a bit more than the accumulator
    yield Chain("xnor_deep", (24,), 1, B, 2).mvu(12, 3, memory=Memory.LUT).end()
    yield Chain("xnor_block", (24,), 1, B, 2).mvu(12, 3, memory=Memory.BLOCK).end()
    yield Chain("xnor_hardwired", (40,), 1, B, 40).mvu(5, 5, memory=Memory.HARDWIRED).end()
    yield Chain("xnor_one_lane", (3,), 1, B, 1).mvu(5, 1).end()
    yield Chain("xnor_one_word", (7,), 1, B, 7).mvu(6, 2).end()  # words of a vector: 1
    yield Chain("xnor_one_pass", (12,), 1, B, 3).mvu(5, 5).end()
    yield Chain("xnor_one", (1,), 1, B, 1).mvu(1, 1).end()
    yield Chain("xnor_steps", (16,), 1, B, 4).mvu(5, 1, out=(2, U)).end()
    yield Chain("xnor_sums", (2, 31), 1, B, 31).mvu(4, 2, out=None, memory=Memory.BLOCK).end()  # 2 vectors a frame

    yield Chain("mask_u8", (12,), 8, U, 4).mvu(6, 2).end()
    yield Chain("mask_s8_block", (12,), 8, S, 2).mvu(6, 3, memory=Memory.BLOCK, out=(2, U)).end()
    yield Chain("mask_s3_hardwired", (9,), 3, S, 9).mvu(5, 5, out=None).end()
    yield Chain("mask_u1", (10,), 1, U, 5).mvu(4, 2, out=None).end()
    yield Chain("multiply_u4", (8,), 4, U, 2).mvu(4, 2, weights=3).end()
    yield Chain("multiply_s5", (8,), 5, S, 8).mvu(4, 4, weights=4, out=None).end()
    yield Chain("multiply_bipolar", (8,), 1, B, 4).mvu(4, 1, weights=2, out=(1, U)).end()

    yield Chain("label_serial", (10,), 3, S, 1).label().end()  # few bits: many ties
    yield Chain("label_lanes", (15,), 2, U, 5).label().end()
    yield Chain("label_parallel", (10,), 2, S, 10).label().end()
    yield Chain("label_one", (1,), 4, U, 1).label().end()

    yield Chain("lanes_up", (12,), 3, U, 2).lanes(6).end()
    yield Chain("lanes_down", (12,), 3, U, 6).lanes(2).end()
    yield Chain("lanes_same", (4,), 2, S, 2).lanes(2).end()
    yield Chain("fifo_2", (3,), 5, U, 1).fifo(2).end()
    yield Chain("fifo_5", (3,), 5, U, 1).fifo(5).end()

    yield Chain("window_3x3", (5, 6, 4), 1, B, 2).window((3, 3)).end()
    yield Chain("window_strided", (7, 9, 2), 3, S, 1).window((3, 2), stride=(2, 3)).end()
    yield Chain("window_dilated", (6, 7, 2), 1, B, 2).window((2, 3), dilation=(3, 2)).end()
    yield Chain("window_sparse", (5, 7, 2), 4, U, 1).window((1, 1), stride=(3, 4)).end()  # most beats are dropped
    yield Chain("window_sound", (1, 17, 3), 8, U, 3).window((1, 5), stride=(1, 2)).end()
    yield Chain("window_column", (6, 1, 2), 2, U, 2).window((4, 1)).end()
    yield Chain("window_whole", (3, 3, 2), 1, B, 1).window((3, 3)).end()  # one window a frame
    yield Chain("wide_3x3", (5, 6, 4), 1, B, 4).window((3, 3), parallel=True).end()
    yield Chain("wide_strided", (7, 9, 2), 3, S, 2).window((3, 2), parallel=True, stride=(2, 3)).end()
    yield Chain("wide_dilated", (6, 7, 1), 2, U, 1).window((2, 3), parallel=True, dilation=(3, 2)).end()
    yield Chain("wide_sound", (1, 17, 3), 8, U, 3).window((1, 5), parallel=True, stride=(1, 2)).end()
    yield Chain("wide_column", (6, 1, 2), 2, U, 2).window((4, 1), parallel=True).end()
    yield Chain("pad_bipolar", (3, 4, 4), 1, B, 2).pad((1, 0), (2, 1), -1).end()
    yield Chain("pad_signed", (1, 5, 2), 4, S, 2).pad((0, 2), (0, 0), -3).end()
    yield Chain("pool_bipolar", (5, 7, 4), 1, B, 2).pool((2, 3)).end()
    yield Chain("pool_signed", (4, 4, 1), 4, S, 1).pool((2, 2)).end()
    yield Chain("pool_unsigned", (1, 7, 2), 4, U, 2).pool((1, 3)).end()
    yield Chain("pool_overlapping", (5, 7, 2), 1, B, 2).window((3, 3), stride=(2, 2), flat=True).pool((1, 9)).end()
    yield Chain("sum_bipolar", (3, 5, 4), 1, B, 2).total(4, U).end()
    yield Chain("sum_signed", (2, 3, 2), 3, S, 2).total(6, S).end()

    image = Chain("network", (32,), 8, U, 4).threshold(1, B).lanes(8).mvu(16, 4).lanes(2).fifo(4).mvu(8, 4)
    yield image.lanes(8).mvu(8, 8).lanes(4).mvu(6, 3, out=None).label().end()
    photo = Chain("network_image", (8, 7, 3), 8, U, 3).pad((1, 1), (1, 1), 0).window((3, 3)).mvu(8, 8).lanes(4)
    photo.pad((1, 1), (1, 1), -1).window((3, 3), stride=(1, 2)).mvu(6, 6).pool((2, 2)).window((2, 2))
    photo.mvu(4, 2).total(3, U).mvu(5, 1, out=None).label()
    yield photo.end()
    sound = Chain("network_sound", (1, 40, 2), 8, S, 2).window((1, 5), parallel=True, stride=(1, 2)).mvu(8, 4).lanes(8)
    sound.window((1, 3), parallel=True, dilation=(1, 2)).mvu(4, 4, flat=True).lanes(56)
    yield sound.mvu(3, 1, out=None).label().end()

    first = Chain("network_8bit", (16,), 8, S, 2).mvu(12, 3, out=(2, U)).mvu(8, 2, weights=2)
    yield first.mvu(5, 5, out=None).label().end()


def bench_top(tops: list[dict[str, Any]]) -> str:
    """All accelerators side by side, each with its own ends."""
    ports, instances = [], []
    for top in tops:
        name, s, m = top["top"], top["input"]["tdata_bits"], top["output"]["tdata_bits"]
        ends = {"s_axis_tdata": ("input", s), "s_axis_tvalid": ("input", 1), "s_axis_tready": ("output", 1),
                "m_axis_tdata": ("output", m), "m_axis_tvalid": ("output", 1), "m_axis_tready": ("input", 1),
                "m_axis_tlast": ("output", 1)}  # fmt: skip
        ports += [f"  {way} logic {f'[{n - 1}:0] ' * (n > 1)}{name}_{end}" for end, (way, n) in ends.items()]
        wires = "".join(f", .{end}({name}_{end})" for end in ends)
        instances.append(f"  {name} u_{name} (.clk_i, .rst_ni{wires});")
    # Inside, and 0 at first: as ports they would be random at time 0, and an assertion might see an edge without reset.
    clock = "  logic clk_i = 1'b0, rst_ni = 1'b0;\n"
    return "module bench (\n" + ",\n".join(ports) + "\n);\n" + clock + "\n".join(instances) + "\nendmodule\n"


Mutant = tuple[str, str, str]  # file, text in it, text instead


def build(folder: Path, names: Container[str] | None = None, mutant: Mutant | None = None) -> Any:
    """Emit all accelerators, or those named, into one folder, and build one simulator of them."""
    from cocotb_tools.runner import get_runner

    rtl, saved = folder / "rtl", folder / "accelerators"
    rtl.mkdir()
    tops = []
    for accelerator in designs():
        if names is None or accelerator.name in names:
            emit_rtl.emit(accelerator, rtl)
            (saved / accelerator.name).mkdir(parents=True)
            storage.save(accelerator, saved / accelerator.name)
            tops.append(json.loads((rtl / emit_rtl.DESIGN).read_text()))
    (rtl / "bench.sv").write_text(bench_top(tops))
    if mutant:
        file, old, new = mutant
        text = (rtl / file).read_text()
        assert text.count(old) == 1
        (rtl / file).write_text(text.replace(old, new))
    runner = get_runner("verilator")
    modules = [m for m in emit_rtl.MODULES if (rtl / f"{m}.sv").exists()]
    runner.build(
        sources=[rtl / f"{m}.sv" for m in [*modules, *(t["top"] for t in tops), "bench"]],
        hdl_toplevel="bench",
        build_dir=folder / "build",
        build_args=["-Wall", "--assert", "--x-assign", "unique", "--x-initial", "unique", "-j", "2"],
        always=True,
    )
    return runner


def simulate(runner: Any, folder: Path, seed: int) -> list[str]:
    """Run the bench; the cocotb tests that failed. `seed` is of what registers hold before the reset."""
    results = folder / f"results{seed}.xml"
    with contextlib.suppress(SystemExit):  # of the runner, where a test fails
        runner.test(
            test_module="bench_accelerators",
            hdl_toplevel="bench",
            build_dir=folder / "build",
            test_dir=folder / "rtl",
            results_xml=str(results),
            extra_env={"ACCELERATORS": str(folder / "accelerators")},
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"],
            log_file=folder / f"run{seed}.log",
        )
    cases = list(ET.parse(results).getroot().iter("testcase"))  # noqa: S314  # written by our own run
    assert cases
    return [c.attrib["name"] for c in cases if c.find("failure") is not None or c.find("error") is not None]


@pytest.fixture(scope="module")
def tool_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in toolchain.environment().items():
            patch.setenv(key, value)
        patch.setenv("MAKEFLAGS", os.environ["MAKEFLAGS"] + " OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0")
        patch.setattr(sys, "path", [str(HERE), *sys.path])  # the runner hands it to the simulator's Python
        yield


def test_modules_and_networks_equal_the_golden_model(tmp_path: Path, tool_environment: None) -> None:
    runner = build(tmp_path)
    assert [simulate(runner, tmp_path, seed) for seed in (1, 2)] == [[], []]


@st.composite
def dense(draw: st.DrawFn) -> Accelerator:
    """A whole dense network: any depth and width, pixels or signed numbers, folding and memory of each layer."""
    bits, kind = draw(st.sampled_from([(8, U), (4, S), (1, B)]))
    pixels = draw(st.integers(1, 20))
    chain = Chain(f"random{draw(st.integers(0, 999))}", (pixels,), bits, kind, draw(st.sampled_from(divisors(pixels))))
    if kind is U and draw(st.booleans()):
        chain.threshold(1, B)
    for width in draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)):
        have = chain.here.lanes
        chain.lanes(draw(st.sampled_from([n for n in divisors(chain.here.elements) if n % have == 0 or have % n == 0])))
        parallel = chain.here.lanes == chain.here.elements
        memory = draw(st.sampled_from([m for m in Memory if parallel or m is not Memory.HARDWIRED]))
        pe = width if memory is Memory.HARDWIRED else draw(st.sampled_from(divisors(width)))
        chain.mvu(width, pe, out=draw(st.sampled_from([(1, B), (2, U)])), memory=memory)
    chain.mvu(draw(st.integers(1, 10)), 1, out=None).label()
    return chain.end()


def agree(accelerator: Accelerator, folder: Path) -> None:
    """Every beat of every stream of the RTL is the golden model's, and a frame takes its slowest stage's fold."""
    frames = some_frames(accelerator.input, np.random.default_rng(0), 40)
    labels = golden.run(accelerator, frames)[:, 0].astype(np.int64)
    (folder / "accelerator").mkdir()
    (folder / "rtl").mkdir()
    storage.save(accelerator, folder / "accelerator")
    emit_rtl.emit(accelerator, folder / "rtl")
    vectors = Vectors(frames=frames, labels=labels, logits=np.zeros((len(frames), 1), np.float32), predictions=labels)
    simulation.simulate(folder / "accelerator", folder / "rtl", vectors, folder)
    (rung,) = load_rungs(folder)
    assert (rung.status, rung.equal, rung.difference) == ("equal", len(frames), "")
    figures = json.loads((folder / "simulation.json").read_text())
    assert figures["cycles_per_frame"] == accelerator.cycles


@settings(max_examples=4, deadline=None, derandomize=True)
@given(accelerator=dense())
def test_random_networks(accelerator: Accelerator, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(accelerator, tmp_path_factory.mktemp("random"))


@pytest.mark.full
@pytest.mark.timeout(1800)
@settings(max_examples=60, deadline=None)
@given(accelerator=dense())
def test_many_random_networks(accelerator: Accelerator, tmp_path_factory: pytest.TempPathFactory) -> None:
    agree(accelerator, tmp_path_factory.mktemp("random"))


MUTANTS: dict[str, tuple[str, Mutant]] = {
    "compare": ("xnor_63", ("bnn_steps.sv", "value >= Width'(threshold", "value > Width'(threshold")),
    "signed compare": ("mask_u8", ("bnn_steps.sv", "$signed(value) >= Width'", "$signed(value) > Width'")),
    "stuck weight bit": ("xnor_sums", ("bnn_rom.sv", "data_o <= word_q;", "data_o <= word_q & ~Width'(1);")),
    "tie": ("label_lanes", ("bnn_label_select.sv", "value > best_q;", "value >= best_q;")),
    "tie in a beat": ("label_parallel", ("bnn_argmax.sv", "$signed(value_i[High]) > ", "$signed(value_i[High]) >= ")),
    "unheld beat": ("fifo_2", ("bnn_fifo.sv", "if (load) data_o <=", "data_o <=")),
    "unheld word": ("xnor_63", ("bnn_replay.sv", "if (load) data_o <=", "data_o <=")),
    "no ping-pong": ("network", ("bnn_replay.sv", "CountWidth'(2 * Words);", "CountWidth'(Words);")),
    "too few credits": ("xnor_one_word", ("bnn_credit_fifo.sv", "ceil_div(Latency + 2,", "ceil_div(Latency,")),
    "sum carried over": ("xnor_63", ("bnn_accumulate.sv", "first_i ? '0 : data_o", "data_o")),
    "pass not reset": ("xnor_63", ("bnn_replay.sv", "        pass_q  <= '0;\n", "")),
    "early window": ("window_3x3", ("bnn_window.sv", "load && held_q > ", "load && held_q >= ")),
    "small ring": ("window_strided", ("bnn_window.sv", "AddrWidth = $clog2(2 * Span)", "AddrWidth = $clog2(Span) - 1")),
    "no drop": ("window_sparse", ("bnn_window.sv", "NextFrame);\n      start_d", "NextGrid);\n      start_d")),
    "ragged stride": ("wide_strided", ("bnn_window_parallel.sv", "if (last_column) step_x_q <= '0;\n        else", "")),
    "one pad short": ("pad_bipolar", ("bnn_pad.sv", "32'(row) < Top + Rows", "32'(row) <= Top + Rows")),
    "stale block": ("pool_bipolar", ("bnn_reduce.sv", "in_column_q == '0 && in_row_q == '0", "in_row_q == '0")),
    "early TLAST": ("fifo_5", ("bnn_last.sv", "BeatWidth'(Beats - 1);", "BeatWidth'(Beats - 2);")),
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("what", MUTANTS)
def test_a_fault_is_found(what: str, tmp_path: Path, tool_environment: None) -> None:
    """The bench is worth its name: each of these one-line faults makes it fail."""
    name, mutant = MUTANTS[what]
    runner = build(tmp_path, {name}, mutant)
    try:
        found = simulate(runner, tmp_path, 1) != []
    except RuntimeError:  # the simulator stopped: an assertion in the RTL
        found = "Assertion failed" in (tmp_path / "run1.log").read_text()
    assert found
