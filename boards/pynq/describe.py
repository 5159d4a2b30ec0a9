# SPDX-License-Identifier: Apache-2.0
"""What the driver must know about a design: the core's description, its address, and the name of the DMA."""

from __future__ import annotations

from typing import Any

from adiabit.boards.pynq.adiabit_driver.files import FORMAT
from adiabit.boards.pynq.block_design import DMA, BlockDesign


def describe(core: dict[str, Any], design: BlockDesign) -> dict[str, Any]:
    """`NAME.json` beside the bitstream, from `ip.json` and the system around it."""
    kept = ("top", "identity", "word_bytes", "address_bits", "input", "output")
    known = {key: core[key] for key in kept}
    return {"format": FORMAT, **known, "address": design.window(core["top"]).offset, "dma": DMA}
