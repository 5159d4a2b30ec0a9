# SPDX-License-Identifier: Apache-2.0
"""A few saved vectors beside the emitted C++, for the vendor's own C simulation and co-simulation."""

from __future__ import annotations

from pathlib import Path

from adiabit.flows.ladder import Vectors
from adiabit.flows.simulate.beats import write_beats
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.packing import pack

SHARE = 16  # frames


def share_vectors(accelerator: Accelerator, vectors: Vectors, folder: Path) -> None:
    """Write `frames.bin` and `expected.bin`, which the emitted test bench and scripts read, beside the sources."""
    frames = vectors.frames[:SHARE]
    write_beats(accelerator, frames, folder / "frames.bin")
    (folder / "expected.bin").write_bytes(pack(accelerator.output, golden.run(accelerator, frames)).tobytes())
