# SPDX-License-Identifier: Apache-2.0
"""What a circuit takes of a part, as every tool's figures tell it."""

from __future__ import annotations

from dataclasses import dataclass

RESOURCES = {"lut": "LUT", "ff": "FF", "bram18": "BRAM18", "dsp": "DSP"}  # the fields, and their names


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a circuit takes or a part holds; None where it was not counted."""

    lut: int | float | None = None
    ff: int | float | None = None
    bram18: int | float | None = None  # block RAMs of 18 Kbit
    dsp: int | float | None = None
