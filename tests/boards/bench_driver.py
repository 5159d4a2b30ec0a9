# SPDX-License-Identifier: Apache-2.0
"""The driver's very code, inside the simulator, through cocotbpynq's DMA and MMIO."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import cocotbpynq
import numpy as np

FOLDER = Path(os.environ["DRIVER_FOLDER"])
sys.path.insert(0, os.environ["DRIVER_PACKAGE"])

from adiabit_driver import Accelerator, DriverError  # type: ignore[import-not-found]  # noqa: E402
from adiabit_driver.__main__ import main  # type: ignore[import-not-found]  # noqa: E402

BIT = str(FOLDER / "core.bit")


def saved() -> tuple[np.ndarray, np.ndarray]:
    with np.load(FOLDER / "vectors.npz") as vectors:
        return vectors["frames"], vectors["outputs"]


@cocotbpynq.synctest
def classifies_batches(dut: object) -> None:
    frames, outputs = saved()
    accelerator = Accelerator(BIT, batch=8, platform=cocotbpynq)
    assert np.array_equal(accelerator.classify(frames), outputs.reshape(len(frames)))
    counters = accelerator.counters()
    assert counters["frames_in"] == counters["frames_out"] == len(frames)
    assert (counters["busy"], counters["misaligned"]) == (0, 0)
    accelerator.clear()
    assert accelerator.counters()["frames_out"] == 0
    job = accelerator.submit(frames[:3])
    later = accelerator.submit(frames[3:5])  # waits for the first
    assert np.array_equal(later.result(), outputs[3:5, 0])
    assert np.array_equal(job.result(), outputs[:3, 0])
    figures = accelerator.measure(frames[:8], repeat=1)
    assert figures["cycles_per_frame"] >= 1
    assert accelerator.counters()["frames_out"] == 9


@cocotbpynq.synctest
def verifies_from_the_command_line(dut: object) -> None:
    command = [BIT, "--verify", str(FOLDER / "vectors.npz"), "--batch", "16", "--measure", "--save"]
    assert main([*command, str(FOLDER / "board.json")], platform=cocotbpynq) == 0
    frames, outputs = saved()
    record = json.loads((FOLDER / "board.json").read_text())
    description = json.loads((FOLDER / "core.json").read_text())
    assert record.pop("measured").keys() == {"frames_per_second", "latency_seconds", "cycles_per_frame"}
    assert record == {"identity": description["identity"], "frames": len(frames), "equal": len(frames), "first": None}
    outputs[5] = (outputs[5] + 1) % 3
    np.savez(FOLDER / "wrong.npz", frames=frames, outputs=outputs)
    told = Accelerator(BIT, platform=cocotbpynq).verify(str(FOLDER / "wrong.npz"))
    assert str(told) == f"{len(frames) - 1} of {len(frames)} frames equal; the first that differs is frame 5"
    assert main([BIT, "--verify", str(FOLDER / "wrong.npz")], platform=cocotbpynq) == 1


@cocotbpynq.synctest
def refuses_another_circuit(dut: object) -> None:
    place = FOLDER / "core.json"
    text = place.read_text()
    description = json.loads(text)
    try:
        place.write_text(json.dumps({**description, "identity": "0123456789abcdef"}))
        try:
            Accelerator(BIT, platform=cocotbpynq)
        except DriverError as error:
            told = str(error)
        assert told == (
            f"{BIT}: the circuit is accelerator {description['identity']}, the description is of 0123456789abcdef; "
            "copy .bit, .hwh and .json of one build"
        )
        assert main([BIT], platform=cocotbpynq) == 2
    finally:
        place.write_text(text)
