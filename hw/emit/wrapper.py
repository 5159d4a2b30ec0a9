# SPDX-License-Identifier: Apache-2.0
"""Common parts of the tops that wrap an accelerator: a host module, the accelerator behind it, and `ip.json`.

The nets between the two are `core_rst_n`, and `valid`, `ready` and `data` of `in` (to the accelerator) and `out`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adiabit.hw.emit import rtl
from adiabit.hw.emit.design import Design

IP = "ip.json"


def nets(in_bits: int, out_bits: int, *more: str) -> str:
    """Declarations of the nets between host and accelerator, and of `more` 1-bit nets."""
    bits = ", ".join(["core_rst_n", "in_valid", "in_ready", "out_valid", "out_ready", *more])
    return f"  wire {bits};\n  wire [{in_bits - 1}:0] in_data;\n  wire [{out_bits - 1}:0] out_data;\n"


def host(module: str, parameters: Mapping[str, int], identity: str, ports: Mapping[str, str]) -> str:
    """The instance `u_host` of a host module; `ports` are those that do not lead to the accelerator.

    `identity`: the accelerator's digest, 16 hexadecimal digits, which becomes the last parameter.
    """
    values = {key: str(value) for key, value in parameters.items()} | {"Identity": f"64'h{identity}"}
    ports = {
        **ports,
        "core_rst_no": "core_rst_n",
        "core_valid_o": "in_valid",
        "core_ready_i": "in_ready",
        "core_data_o": "in_data",
        "core_valid_i": "out_valid",
        "core_ready_o": "out_ready",
        "core_data_i": "out_data",
    }
    return rtl.instance(module, "u_host", values, ports)


def core(accelerator: str, *, clock: str, in_data: str = "in_data", out_data: str = "out_data") -> str:
    """The instance `u_core` of the accelerator; its TLAST is the net `last`."""
    ports = {
        "clk_i": clock,
        "rst_ni": "core_rst_n",
        "s_axis_tdata": in_data,
        "s_axis_tvalid": "in_valid",
        "s_axis_tready": "in_ready",
        "m_axis_tdata": out_data,
        "m_axis_tvalid": "out_valid",
        "m_axis_tready": "out_ready",
        "m_axis_tlast": "last",
    }
    return rtl.instance(accelerator, "u_core", {}, ports)


def save(folder: Path, design: Design, name: str, text: str, **details: Any) -> dict[str, Any]:
    """Write the top as NAME.v beside the emitted design, and `ip.json`, whose content is returned.

    `ip.json` has the top, its sources in reading order, its memory files, and `details`.
    """
    (folder / f"{name}.v").write_text(text)
    document = {
        "top": name,
        "sources": [*design.sources, f"{name}.v"],
        "memories": list(design.memories),
        **details,
    }
    (folder / IP).write_text(json.dumps(document, indent=1) + "\n")
    return document
