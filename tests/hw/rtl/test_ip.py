# SPDX-License-Identifier: Apache-2.0
"""The IP core for a host: its registers' source, its packing, and the core itself on AXI buses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import ip as emit_ip
from adiabit.hw.stages.base import RTL
from tests.hw.rtl.chain import B, Chain, S, U, some_frames
from tests.hw.rtl.cocotb_run import assert_passes
from tests.hw.rtl.registers import REGISTERS
from tests.hw.rtl.test_rtl import designs, tool_environment

__all__ = ["tool_environment"]  # a fixture


def wide() -> Accelerator:
    """Beats of 3 bytes in, of 35 bits out: words that are not filled."""
    return Chain("wide", (2, 12), 4, S, 6).mvu(5, 5, out=None).end()


@pytest.mark.parametrize("word_bytes", [4, 8])
def test_beats_travel_in_whole_words(word_bytes: int) -> None:
    accelerator = wide()
    given, result = emit_ip.ports(accelerator, word_bytes)
    assert accelerator.input.width == 24
    assert (given.ratio, given.words, given.frame_bytes) == (1, 4, 4 * word_bytes)
    assert result.ratio == (2 if accelerator.output.width > 8 * word_bytes else 1)
    for port in (given, result):
        values = some_frames(port.stream, np.random.default_rng(1), 7)
        memory = port.pack(values)
        assert memory.shape == (7, port.frame_bytes)
        assert np.array_equal(port.unpack(memory), values)
    words = given.pack(some_frames(given.stream, np.random.default_rng(1), 1)).reshape(-1, word_bytes)
    assert not words[:, 3:].any()


def test_the_digest_is_of_all_that_an_accelerator_is(tmp_path: Path) -> None:
    accelerator = wide()
    storage.save(accelerator, tmp_path)
    first = storage.digest(accelerator)
    assert storage.digest(storage.load(tmp_path)) == first
    (stage,) = accelerator.stages
    weights = np.array(stage.weights)  # type: ignore[attr-defined]
    weights[0, 0] *= -1
    turned = dataclasses.replace(stage, weights=weights)  # type: ignore[call-arg]
    others = [
        dataclasses.replace(accelerator, name="other"),
        dataclasses.replace(accelerator, stages=(turned,)),
        Chain("wide", (2, 12), 4, S, 3).mvu(5, 5, out=None).end(),
    ]
    assert len({first, *map(storage.digest, others)}) == 4


def test_the_registers_are_what_peakrdl_makes_of_their_description(tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable, "-m", "peakrdl", "regblock", RTL / "bnn_registers.rdl", "-o", tmp_path,
        "--cpuif", "axi4-lite-flat", "--default-reset", "rst_n",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    for name in ("bnn_registers.sv", "bnn_registers_pkg.sv"):
        assert (tmp_path / name).read_text() == (RTL / name).read_text(), "run the command above with -o hw/rtl"


def test_the_core_is_described_for_a_driver(tmp_path: Path) -> None:
    document = emit_ip.emit(wide(), tmp_path, word_bytes=8)
    assert document == json.loads((tmp_path / "ip.json").read_text())
    assert document["identity"] == storage.digest(wide())
    assert document["top"] == "wide_ip"
    assert all((tmp_path / source).exists() for source in [*document["sources"], *document["memories"]])
    assert document["input"]["frame_bytes"] == 32
    assert document["output"]["shape"] == [2, 5]
    assert max(REGISTERS.values()) < 2 ** document["address_bits"]


CORES = {
    "labels": (next(a for a in designs() if a.name == "network_image"), 8),
    "sums": (wide(), 4),
    "sound": (Chain("sound", (1, 20, 1), 8, U, 1).window((1, 5)).mvu(4, 2, out=(1, B), flat=True).end(), 4),
}


@pytest.mark.parametrize("name", CORES)
def test_the_core_serves_dma_and_processor(name: str, tmp_path: Path, tool_environment: None) -> None:
    accelerator, word_bytes = CORES[name]
    rtl, saved = tmp_path / "rtl", tmp_path / "accelerator"
    rtl.mkdir()
    saved.mkdir()
    document = emit_ip.emit(accelerator, rtl, word_bytes=word_bytes)
    storage.save(accelerator, saved)
    sources = [RTL / "bnn_registers.vlt", *(rtl / source for source in document["sources"])]
    environment = {"ACCELERATOR": str(saved), "WORD_BYTES": str(word_bytes)}
    assert_passes("bench_ip", document["top"], sources, tmp_path, environment, tests=9)
