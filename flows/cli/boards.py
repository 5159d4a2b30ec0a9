# SPDX-License-Identifier: Apache-2.0
"""`adiabit boards`."""

from __future__ import annotations

import dataclasses

from rich.markup import escape
from rich.table import Table

from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import console, give


@command()
def boards() -> None:
    """List the boards and the tools that each needs."""
    from adiabit.boards import catalog
    from adiabit.flows.bitstream import project
    from adiabit.flows.bitstream.families import FAMILIES

    table = Table("board", "title", "part", "LUT", "BRAM18", "MHz", "needs")
    vivado = "Vivado (found)" if project.tool() else "Vivado (not on PATH)"
    found = [catalog.load(name) for name in catalog.names()]
    give([dataclasses.asdict(board) for board in found])
    for board in found:
        family = FAMILIES.get(board.family)
        needs = vivado if family is None else f"open tools: {family.install}"
        size = (f"{board.luts:,}", f"{board.bram18:,}", f"{board.clock_mhz:g}")
        table.add_row(board.name, board.title, board.part, *size, escape(needs))
    console.print(table)
