# SPDX-License-Identifier: Apache-2.0
"""FPGA resources, in the form that every tool's figures use."""

from __future__ import annotations

from dataclasses import dataclass

RESOURCES = {"lut": "LUT", "ff": "FF", "bram18": "BRAM18", "dsp": "DSP"}  # field to display name


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a circuit uses or a part has; None where it was not counted."""

    lut: int | float | None = None
    ff: int | float | None = None
    bram18: int | float | None = None  # block RAMs of 18 Kbit
    dsp: int | float | None = None
