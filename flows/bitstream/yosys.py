# SPDX-License-Identifier: Apache-2.0
"""One Yosys run for a whole chip as a separate program: Yosys prints a lot, and a crash must not end our process.

    python -m adiabit.flows.bitstream.yosys COMMAND TOP NETLIST SOURCE...

Run it in the folder of the RTL. COMMAND is Yosys' synthesis command for the family; the netlist is written as JSON for
nextpnr and, beside it, as Verilog.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyosys import libyosys as ys


def main(synthesis: str, top: str, netlist: str, *sources: str) -> None:
    """Read the sources, synthesize them and write the netlist."""
    design = ys.Design()
    for command in (
        f"read_slang --top {top} {' '.join(sources)}",
        f"{synthesis} -top {top}",
        f"write_json {netlist}",
        f"write_verilog -noattr {Path(netlist).with_suffix('.v')}",
    ):
        ys.run_pass(command, design)


if __name__ == "__main__":
    main(*sys.argv[1:])
