# SPDX-License-Identifier: Apache-2.0
"""RTL by Vitis HLS on the cocotb bench of our own RTL: gaps, stalls, resets in mid-frame, TLAST.

Where Vitis HLS is on PATH it is Vitis' own; here a script plays it, which shows that all around it is right.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adiabit.flows.simulate import cosim
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import hls as emit_hls
from tests.hw.hls import vitis
from tests.hw.rtl.test_rtl import build, designs, simulate, tool_environment

__all__ = ["tool_environment"]  # a fixture


def test_its_rtl_passes_the_cocotb_bench_of_ours(
    tmp_path: Path, tool_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network,) = (a for a in designs() if a.name == "network_sound")
    if cosim.tool() is None:
        vitis.play(network, tmp_path, cosim.TOOLS[0], monkeypatch)

    def emit(accelerator: Accelerator, rtl: Path) -> None:
        (hls := tmp_path / "hls").mkdir()
        emit_hls.emit(accelerator, hls, part="xc7z020clg400-1", clock_mhz=100.0)
        cosim.make_rtl(accelerator, hls, rtl, tmp_path / "vitis.log")

    runner = build(tmp_path, {network.name}, emit=emit, warnings="-Wno-fatal")
    assert simulate(runner, tmp_path, 1) == []
