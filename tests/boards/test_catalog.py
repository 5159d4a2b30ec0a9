# SPDX-License-Identifier: Apache-2.0
"""Every board folder loads; an unknown name gets the nearest."""

from __future__ import annotations

import pytest

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.bitstream.families import FAMILIES


@pytest.mark.parametrize("name", catalog.names())
def test_every_board_loads(name: str) -> None:
    board = catalog.load(name)
    assert board.name == name
    family = FAMILIES.get(board.family)
    assert (board.uart is not None) == (board.shell == "uart") == (family is not None)
    assert board.pins(family.pins).exists() if family else board.family in ("xc7", "xcup")
    assert min(board.luts, board.ffs, board.bram18, board.dsps, board.clock_mhz) > 0


def test_an_unknown_board_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="board 'pynq_z2': no such board; nearest: 'pynq-z2'"):
        catalog.load("pynq_z2")
