# SPDX-License-Identifier: Apache-2.0
"""Loads the bitstream, moves frames through the DMA, and reads the circuit's identity, counters and flags."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .files import DriverError, load_description, load_vectors
from .packing import Port

MAGIC = 0x41444231
REGISTERS = {
    "magic": 0x00, "identity_low": 0x04, "identity_high": 0x08, "word_bytes": 0x0C, "input_words": 0x10,
    "output_words": 0x14, "control": 0x18, "status": 0x1C, "frames_in": 0x20, "frames_out": 0x24, "cycles": 0x28,
    "input_stalls": 0x2C, "input_gaps": 0x30, "output_stalls": 0x34,
}  # fmt: skip
COUNTERS = ("frames_in", "frames_out", "cycles", "input_stalls", "input_gaps", "output_stalls")
KEYS = ("identity", "address", "address_bits", "dma")  # of NAME.json, besides those of the ports
CLEAR, RESTART = 1, 2
BUSY, MISALIGNED = 1, 2


class Job:
    """A batch in progress."""

    def __init__(self, accelerator: Accelerator, count: int, slot: int) -> None:
        self._accelerator, self._count, self._slot = accelerator, count, slot
        self._values: Any = None

    def result(self) -> Any:
        """Wait for the batch; returns its outputs (F, *output shape), or labels (F,) if a frame has one output."""
        if self._values is None:
            self._values = self._accelerator._collect(self._count, self._slot)
        return self._values


class Verification:
    """The result of saved vectors on the circuit: how many frames are equal, and the first that differs."""

    def __init__(self, frames: int, equal: int, first: int | None) -> None:
        self.frames, self.equal, self.first = frames, equal, first

    def __str__(self) -> str:
        """One line."""
        told = f"{self.equal} of {self.frames} frames equal"
        return told if self.first is None else f"{told}; the first that differs is frame {self.first}"


class Classifier:
    """What all accelerators have in common, whichever way their frames travel: `input`, `output` and `outputs`."""

    input: Port
    output: Port

    def outputs(self, images: Any) -> Any:
        """The integers that the circuit returns for frames (F, *input shape): (F, *output shape), or labels (F,)."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers; () if the description has none."""
        return self.output.names

    def encode(self, rows: Any) -> Any:
        """Raw features (F, features) as frames, exactly as the training encoded them; `ValueError` for other nets."""
        return self.input.encode(rows)

    def predict(self, images: Any) -> Any:
        """The number of each frame's class (F,)."""
        return self.output.label(self.outputs(images))

    def classify(self, images: Any) -> Any:
        """The name of each frame's class (F,), or its number where classes have no names."""
        return self.output.named(self.predict(images))

    def logits(self, images: Any) -> Any:
        """The logits (F, ..., classes), in float64, of an accelerator that puts out sums; `ValueError` for labels."""
        return self.output.reals(self.outputs(images).reshape(-1, *self.output.shape))

    def verify(self, vectors: str) -> Verification:
        """Run the saved vectors (`frames`, `outputs`) and compare every integer: the last rung of the ladder."""
        return verify(self.outputs, self.input, self.output, vectors)


class Accelerator(Classifier):
    """An accelerator on the board.

    `bitfile`: the bitstream, beside which lie the .hwh that PYNQ wants and NAME.json, the accelerator's description.
    `batch`: most frames that travel at once. `platform`: the module that has PYNQ's Overlay, MMIO and allocate.
    `DriverError` where the circuit is not the described one.
    """

    def __init__(self, bitfile: str, *, batch: int = 256, platform: Any = None) -> None:
        if batch < 1:
            raise DriverError(f"a batch of {batch} frames: at least 1 is needed")
        platform = platform or needed("pynq", "run this on the board, or give --port for a serial line")
        self.description, self.input, self.output = load_description(Path(bitfile).with_suffix(".json"), KEYS)
        self.batch = batch
        self.overlay = platform.Overlay(bitfile)
        self.registers = platform.MMIO(self.description["address"], 4 << (self.description["address_bits"] - 2))
        self._check(bitfile)
        self.dma = self._find_dma(bitfile)
        self._buffers = [
            (platform.allocate((batch * self.input.frame_bytes // 4,), np.uint32),
             platform.allocate((batch * self.output.frame_bytes // 4,), np.uint32))
            for _ in range(2)
        ]  # fmt: skip
        self._slot = 0
        self._running: Job | None = None

    def _check(self, bitfile: str) -> None:
        found = self.read("magic")
        if found != MAGIC:
            raise DriverError(
                f"{bitfile}: no accelerator answers at {self.description['address']:#x} (read {found:#010x}, "
                f"{MAGIC:#010x} is expected); is it the bitstream of this description?"
            )
        identity = f"{self.read('identity_high') << 32 | self.read('identity_low'):016x}"
        if identity != self.description["identity"]:
            raise DriverError(
                f"{bitfile}: the circuit is accelerator {identity}, the description is of "
                f"{self.description['identity']}; copy .bit, .hwh and .json of one build"
            )

    def _find_dma(self, bitfile: str) -> Any:
        try:
            return getattr(self.overlay, self.description["dma"])
        except AttributeError as error:
            raise DriverError(
                f"{bitfile}: its .hwh has no DMA called {self.description['dma']!r}; copy .bit, .hwh and .json of one "
                "build"
            ) from error

    def read(self, register: str) -> int:
        """A register by name."""
        return int(self.registers.read(REGISTERS[register]))

    def counters(self) -> dict[str, int]:
        """Frames and cycles since the start or the last :meth:`clear`, 32 bits each, and the flags."""
        status = self.read("status")
        found: dict[str, int] = {name: self.read(name) for name in COUNTERS}
        return {**found, "busy": status & BUSY, "misaligned": (status & MISALIGNED) // MISALIGNED}

    def clear(self) -> None:
        """Zero the counters and flags."""
        self.registers.write(REGISTERS["control"], CLEAR)

    def restart(self) -> None:
        """Reset the circuit, its counters and flags, after an aborted transfer."""
        self.registers.write(REGISTERS["control"], CLEAR | RESTART)
        self._running = None

    def submit(self, images: Any) -> Job:
        """Start a batch of at most `batch` frames (F, *input shape), after the previous one, and return at once."""
        values = self.input.check(images)
        if len(values) > self.batch:
            raise ValueError(f"{len(values)} frames are more than a batch of {self.batch}; use outputs or classify")
        slot, self._slot = self._slot, 1 - self._slot
        given, taken = self._buffers[slot]
        self.input.pack(values, _bytes(given, len(values) * self.input.frame_bytes).reshape(len(values), -1))
        if self._running is not None:
            self._running.result()
        self.dma.recvchannel.transfer(taken, nbytes=len(values) * self.output.frame_bytes)
        self.dma.sendchannel.transfer(given, nbytes=len(values) * self.input.frame_bytes)
        self._running = Job(self, len(values), slot)
        return self._running

    def _collect(self, count: int, slot: int) -> Any:
        self.dma.sendchannel.wait()
        self.dma.recvchannel.wait()
        self._running = None
        memory = _bytes(self._buffers[slot][1], count * self.output.frame_bytes)
        values = self.output.unpack(memory.reshape(count, -1))
        return values.reshape(count) if self.output.shape == (1,) else values

    def outputs(self, images: Any) -> Any:
        """The outputs of any number of frames (F, *input shape); one batch is packed while another is in progress."""
        values = self.input.check(images)
        jobs, found = [], []
        for start in range(0, len(values), self.batch):
            jobs.append(self.submit(values[start : start + self.batch]))
            if len(jobs) > 1:
                found.append(jobs[-2].result())
        found.append(jobs[-1].result())
        return np.concatenate(found)

    def measure(self, images: Any, repeat: int = 10) -> dict[str, float]:
        """Frames per second of `repeat` times these frames, seconds of a single one, cycles per frame (counted)."""
        values = self.input.check(images)
        self.clear()
        start = time.perf_counter()
        for _ in range(repeat):
            self.outputs(values)
        seconds = time.perf_counter() - start
        counters = self.counters()
        start = time.perf_counter()
        self.outputs(values[:1])
        return {
            "frames_per_second": repeat * len(values) / seconds,
            "latency_seconds": time.perf_counter() - start,
            "cycles_per_frame": counters["cycles"] / counters["frames_out"],
        }


def verify(outputs_of: Callable[[Any], Any], given: Port, taken: Port, vectors: str) -> Verification:
    """Compare the results of `outputs_of` with the saved vectors (`frames`, `outputs`) of these ports.

    `DriverError` where they cannot be read, or are of another accelerator.
    """
    frames, outputs = load_vectors(Path(vectors))
    try:
        frames = given.check(frames)
        taken.check_outputs(outputs, len(frames))
    except ValueError as error:
        raise DriverError(f"{vectors}: {error}; take the vectors.npz beside the bitstream") from error
    found = outputs_of(frames).reshape(len(frames), -1)
    differs = np.flatnonzero((found != outputs.reshape(found.shape)).any(axis=1))
    return Verification(len(frames), len(frames) - len(differs), int(differs[0]) if len(differs) else None)


def _bytes(buffer: Any, count: int) -> Any:
    """The first bytes of a buffer of 32-bit words, in place."""
    return buffer.view(np.uint8).reshape(-1)[:count]


def needed(module: str, remedy: str) -> Any:
    """Import a package that is installed only where it is needed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DriverError(f"the Python package {module!r} is missing; {remedy}") from error
