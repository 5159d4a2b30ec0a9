# SPDX-License-Identifier: Apache-2.0
"""Good model files, which the fuzzers damage."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.flows.conftest import Net


@cache
def good() -> dict[str, bytes]:
    """Two networks of 8 and of 4 x 4 inputs with nodes of most kinds that can be compiled."""
    rng = np.random.default_rng(0)
    ones = [[1.0] * 4, [0.5] * 4, [0.0] * 4, [1.0] * 4]
    dense = Net(1, 1, 2, 4).op("Flatten").op("Mul", 0.01).op("Add", -1.0).sign().dense(rng.normal(size=(4, 8)))
    dense = dense.norm(*ones).op("Relu").quant(2, 0.5).dense(rng.normal(size=(3, 4)), 0.25, bits=3).op("Identity")
    image = Net("batch", 1, 4, 4).op("Sub", 127.5).sign().pad([0, 0, 1, 1, 0, 0, 0, 0], 1.0)
    image = image.conv(rng.normal(size=(4, 1, 2, 2))).norm(*ones).max_pool((2, 2)).op("Dropout").sign()
    image = image.conv(rng.normal(size=(2, 4, 1, 1)), pads=[0, 0, 0, 0]).op("GlobalAveragePool").op("Flatten")
    with tempfile.TemporaryDirectory() as folder:
        made = {name: net.save(Path(folder) / name) for name, net in (("dense", dense), ("image", image))}
        return {name: path.read_bytes() for name, path in made.items()}
