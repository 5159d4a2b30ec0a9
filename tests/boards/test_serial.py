# SPDX-License-Identifier: Apache-2.0
"""The chip on a serial line and the host's tool, tested together through a virtual serial port."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adiabit.boards.pynq import adiabit_driver
from adiabit.errors import UserError
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.emit import serial as emit_serial
from tests.boards.test_driver import network
from tests.hw.rtl.chain import B, Chain, S, some_frames
from tests.hw.rtl.cocotb_run import assert_passes
from tests.hw.rtl.test_rtl import tool_environment

__all__ = ["tool_environment"]  # a fixture
HERE = Path(__file__).parent
CHIPS: dict[str, Accelerator] = {
    "labels": network(),
    "pool": Chain("core", (5, 7, 4), 1, B, 2).pool((2, 3)).end(),  # its result ends before the frame does
    "sums": Chain("core", (2, 12), 4, S, 6).mvu(5, 5, out=None).end(),  # beats of 3 bytes in, of several out
}


@pytest.mark.parametrize("name", CHIPS)
def test_the_hosts_tool_and_the_chip_understand_each_other(
    name: str, tmp_path: Path, tool_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))  # the runner hands it to the simulator's Python
    accelerator, rtl = CHIPS[name], tmp_path / "rtl"
    rtl.mkdir()
    leds, lit = (6, 0) if name == "pool" else (8, 1)  # as a Tang Nano 20K and a ULX3S have them
    chip = emit_serial.emit(accelerator, rtl, clock_hz=8e6, baud=1_000_000, leds=leds, lit=lit, idle_bits=12)
    (tmp_path / "core.json").write_text(json.dumps(chip))
    frames = some_frames(accelerator.input, np.random.default_rng(0), 4)
    np.savez(tmp_path / "vectors.npz", frames=frames, outputs=golden.run(accelerator, frames))
    environment = {
        "DRIVER_FOLDER": str(tmp_path),
        "DRIVER_PACKAGE": str(Path(adiabit_driver.__file__).parent.parent),
        "DIVIDER": "8",
        "LIT": str(lit),
    }
    sources = [rtl / source for source in chip["sources"]]
    assert_passes("bench_serial", chip["top"], sources, tmp_path, environment, tests=3, build_args=["-Wall"])


def test_a_clock_that_does_not_make_the_baud_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        emit_serial.emit(network(), tmp_path, clock_hz=5.5e6, baud=1_000_000)
    assert str(caught.value) == (
        "serial line: 1000000 baud at a 5.5 MHz clock needs a whole number of cycles per bit, at least 4, within 2 %; "
        "choose another clock"
    )


def test_a_missing_port_is_told(tmp_path: Path) -> None:
    description = tmp_path / "core.json"
    chip = emit_serial.emit(network(), tmp_path, clock_hz=25e6, baud=1_000_000)
    description.write_text(json.dumps(chip))
    with pytest.raises(adiabit_driver.DriverError, match=r"^/dev/none: .*; is the board connected and the port yours"):
        adiabit_driver.SerialAccelerator(str(description), "/dev/none")
