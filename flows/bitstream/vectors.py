# SPDX-License-Identifier: Apache-2.0
"""The frames that ship with a bitstream, for the driver's --verify."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adiabit.flows.ladder import Vectors
from adiabit.hw import golden
from adiabit.hw.accelerator import Accelerator

MOST = 1000  # frames


def save_vectors(accelerator: Accelerator, vectors: Vectors, folder: Path) -> None:
    """Write `vectors.npz` into `folder`: `frames`, and the golden model's `outputs` for them."""
    frames = vectors.frames[:MOST]
    np.savez_compressed(folder / "vectors.npz", frames=frames, outputs=golden.run(accelerator, frames))
