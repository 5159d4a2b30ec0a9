# SPDX-License-Identifier: Apache-2.0
"""One Yosys run for a whole chip as a separate program: Yosys prints a lot, and a crash must not end our process.

    python -m adiabit.flows.bitstream.yosys COMMAND TOP NETLIST SOURCE...

Run it in the folder of the RTL. COMMAND is Yosys' synthesis command for the family; the netlist is written as JSON for
nextpnr and, beside it, as Verilog. Registers behind the block RAMs of an ECP5 are moved into them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyosys import libyosys as ys

from adiabit.flows.synthesize.output_registers import absorbed


def main(synthesis: str, top: str, netlist: str, *sources: str) -> None:
    """Read the sources, synthesize them and write the netlist."""
    path, design, made = Path(netlist), ys.Design(), ys.Design()
    for command in (
        f"read_slang --top {top} {' '.join(sources)}",
        f"{synthesis} -top {top}",
        f"write_json {netlist}",
    ):
        ys.run_pass(command, design)
    document = json.loads(path.read_text())
    document["modules"] = {name: absorbed(module) for name, module in document["modules"].items()}
    path.write_text(json.dumps(document))
    for command in (f"read_json {netlist}", f"write_verilog -noattr {path.with_suffix('.v')}"):
        ys.run_pass(command, made)


if __name__ == "__main__":
    main(*sys.argv[1:])
