# SPDX-License-Identifier: Apache-2.0
"""The addresses in the registers' description, by name."""

from __future__ import annotations

import re

from adiabit.hw.stages.base import RTL

REGISTERS = {
    name: int(address, 16) for name, address in re.findall(r"(\w+) @ (0x\w+);", (RTL / "bnn_registers.rdl").read_text())
}
