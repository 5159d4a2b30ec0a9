# SPDX-License-Identifier: Apache-2.0
"""The emitted HLS C++: its text against golden files, its parameters against the accelerator, names that must give way.

After a wanted change of the text: UPDATE_GOLDEN=1 pytest tests/hw/hls/test_emit_hls.py, and read the difference.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows import toolchain
from adiabit.hw.accelerator import Accelerator, Meaning
from adiabit.hw.emit import hls as emit_hls
from adiabit.hw.stages import MatrixVector, Memory, Threshold
from adiabit.hw.stages.base import HLS
from tests.hw.rtl.chain import B, Chain, S, U

GOLDEN = Path(__file__).parent / "golden"


def tfc() -> Accelerator:
    chain = Chain("tfc", (784,), 8, U, 16).threshold(1, B).lanes(112).mvu(64, 8, memory=Memory.BLOCK).mvu(64, 4)
    return chain.lanes(8).mvu(64, 8).mvu(10, 1, out=None).label().end()


def conv() -> Accelerator:
    chain = Chain("conv", (8, 8, 3), 8, U, 3).pad((1, 1), (1, 1), 0).window((3, 3)).mvu(16, 16, out=(1, B))
    chain.pool((2, 2)).pad((1, 1), (1, 1), -1).window((3, 3), parallel=True, stride=(2, 2))
    chain.lanes(48).mvu(8, 4).fifo(9).window((1, 2), dilation=(1, 1)).mvu(4, 2, weights=3, out=(2, U))
    return chain.total(4, U).mvu(5, 1, out=None).label().end()


def emitted(accelerator: Accelerator, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    emit_hls.emit(accelerator, folder, part="xc7z020clg400-1", clock_mhz=125.0)
    return folder


@pytest.mark.parametrize("make", [tfc, conv])
def test_the_top_is_the_golden_file(make: Callable[[], Accelerator]) -> None:
    accelerator = make()
    path = GOLDEN / f"{accelerator.name}.cpp"
    text = emit_hls.top(accelerator)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
    assert len(text.splitlines()) <= 60, "it fits on a screen"


def test_the_same_accelerator_gives_the_same_bytes(tmp_path: Path) -> None:
    a, b = (emitted(conv(), tmp_path / name) for name in "ab")
    assert sorted(p.name for p in a.iterdir()) == sorted(p.name for p in b.iterdir())
    assert all((b / p.name).read_bytes() == p.read_bytes() for p in a.iterdir())


def numbers(text: str, name: str) -> list[list[int]]:
    """The rows of one ROM in the emitted parameters."""
    body = re.search(rf" {name} = \{{\{{\n(.*?)\n\}}\}};", text, re.S)
    assert body, name
    return [[int(word, 0) for word in re.findall(r"-?\w+", row)] for row in body[1].splitlines()]


@pytest.mark.parametrize("simd", [6, 67, 134, 402])  # words of 6, 34, 45 and 58 bits
def test_weights_are_cut_into_words_of_at_most_64_bits(simd: int, tmp_path: Path) -> None:
    accelerator = Chain("wide", (402,), 1, B, simd).mvu(6, 2).end()
    (stage,) = accelerator.stages
    assert isinstance(stage, MatrixVector)
    rows = numbers((emitted(accelerator, tmp_path) / "wide_params.hpp").read_text(), "wide_0_weights")
    words = -(-simd // 64)
    bits = -(-simd // words)
    found = np.zeros_like(stage.weights)
    for fold, row in enumerate(rows):
        n, s = divmod(fold, 402 // simd)
        for pe in range(2):
            value = sum(word << (bits * i) for i, word in enumerate(row[pe * words : (pe + 1) * words]))
            codes = [value >> i & 1 for i in range(simd)]
            found[n * 2 + pe, s * simd : (s + 1) * simd] = [2 * c - 1 for c in codes]
            assert value < 2**simd
            assert max(row) < 2**64
    assert np.array_equal(found, stage.weights)


def test_small_integers_and_thresholds_are_written_as_they_are_read(tmp_path: Path) -> None:
    accelerator = Chain("little", (6,), 4, S, 3).threshold(2, U).mvu(4, 2, weights=3, out=(2, U)).end()
    text = (emitted(accelerator, tmp_path) / "little_params.hpp").read_text()
    first, second = accelerator.stages
    assert isinstance(first, Threshold)
    assert isinstance(second, MatrixVector)
    for stage in (first, second):
        rows = numbers(text, f"{stage.name}_thresholds")
        assert np.array_equal(rows, stage.threshold_rows)
    assert "bnn::Weights<bnn::Signed<3>, 4, 6, 2, 3> little_1_weights" in text
    row = numbers(text, "little_1_weights")[1]  # second fold: the columns 3... of the rows 0 and 1
    assert row == [sum((int(w) & 7) << (3 * i) for i, w in enumerate(second.weights[pe, 3:])) for pe in range(2)]


def test_a_tree_of_thresholds_nests_the_levels(tmp_path: Path) -> None:
    accelerator = Chain("tree", (4,), 8, S, 2).threshold(5, U).end()
    text = (emitted(accelerator, tmp_path) / "tree_params.hpp").read_text()
    (stage,) = accelerator.stages
    assert isinstance(stage, Threshold)
    found = re.search(r"const (.*) tree_0_thresholds = (.*);", text, re.S)
    assert found
    assert found[1] == f"bnn::ThresholdTree<{stage.threshold_bits}, 2, 2, 5>"
    assert found[2].startswith("{{{{{{}, {")
    words = [int(word) for word in re.findall(r"-?\d+", found[2])]
    sets = stage.threshold_rows.reshape(2, 2, 31)
    assert words[:4] == [sets[beat, lane, 15] for lane in range(2) for beat in range(2)]
    assert words[-16:] == list(sets[1, 1, ::2])
    assert len(words) == sets.size


def test_names_that_mean_something_else_get_an_underscore(tmp_path: Path) -> None:
    chain = Chain("clash", (4,), 1, B, 2).mvu(4, 2).mvu(3, 1, out=None).end()
    x, y, z = (dataclasses.replace(s, name=n) for s, n in zip(chain.streams, ("int", "bnn", "a_weights"), strict=True))
    a = dataclasses.replace(chain.stages[0], name="a", inputs=(x,), outputs=(y,))
    b = dataclasses.replace(chain.stages[1], name="b", inputs=(y,), outputs=(z,))
    text = emit_hls.top(Accelerator(name="clash", stages=(a, b)))
    assert ' int_("int");' in text
    assert ' bnn_("bnn");' in text
    assert ' a_weights_("a_weights");' in text
    assert "bnn::mvu<1, ap_uint<3>>(int_, bnn_, a_weights, a_thresholds);" in text


@pytest.mark.parametrize("name", ["class", "small", "bnn", "main"])
def test_a_top_of_a_reserved_name_is_refused(name: str, tmp_path: Path) -> None:
    accelerator = dataclasses.replace(tfc(), name=name)
    with pytest.raises(UserError) as caught:
        emitted(accelerator, tmp_path)
    assert str(caught.value) == (
        f"accelerator {name}: the top cannot be named by a reserved word of C++, SystemVerilog or the library; "
        "choose another name"
    )


def test_the_scripts_name_part_clock_top_and_files(tmp_path: Path) -> None:
    folder = emitted(tfc(), tmp_path)
    tcl, config = (folder / "tfc.tcl").read_text(), (folder / "hls_config.cfg").read_text()
    for line in ("set_top tfc", "set_part xc7z020clg400-1", "create_clock -period 8"):
        assert f"\n{line}\n" in tcl
    for line in ("part=xc7z020clg400-1", "clock=8ns", "syn.top=tfc", "syn.file=tfc.cpp", "tb.file=testbench.cpp"):
        assert f"\n{line}\n" in config
    design = json.loads((folder / "design.json").read_text())
    assert [s["name"] for s in design["streams"]] == [s.name for s in tfc().streams]
    for name in re.findall(r"\w+\.(?:cpp|hpp)", tcl + config):
        assert (folder / name).exists()


def test_the_host_learns_what_sums_stand_for(tmp_path: Path) -> None:
    sums = dataclasses.replace(
        tfc(), stages=tfc().stages[:-1], meaning=Meaning(scale=(0.5,) * 10, offset=(-1.25,) * 10)
    )
    header = (emitted(sums, tmp_path) / f"{sums.name}.hpp").read_text()
    assert f"static const double {sums.name}_scale[] = {{0.5, 0.5," in header
    assert f"static const double {sums.name}_offset[] = {{-1.25, -1.25," in header


def test_integers_beyond_1024_bits_are_asked_for(tmp_path: Path) -> None:
    wide = Chain("wide", (2100,), 1, B, 2100).mvu(2, 1).end()
    assert "#define AP_INT_MAX_W 3072 " in (emitted(wide, tmp_path / "a") / "wide.hpp").read_text()
    assert "AP_INT_MAX_W" not in (emitted(tfc(), tmp_path / "b") / "tfc.hpp").read_text()


@pytest.mark.parametrize("header", sorted(p.name for p in HLS.glob("*.hpp")))
def test_each_header_of_the_library_stands_alone(header: str, tmp_path: Path) -> None:
    (tmp_path / "alone.cpp").write_text(f'#include "{header}"\n')
    command: list[str | Path] = [
        toolchain.find("g++"), "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
        "-I", HLS, "-isystem", HLS / "sim", "-isystem", toolchain.ap_types(), "alone.cpp",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
