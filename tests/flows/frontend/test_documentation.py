# SPDX-License-Identifier: Apache-2.0
"""The table of number formats in docs/compile.md is what the reader does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.explain import explain

Make = Callable[..., Any]
TEXT = (Path(__file__).parents[3] / "docs" / "compile.md").read_text()
DATA: dict[str, list[tuple[int, bool]]] = {  # bits, signed; 0 bits: no quantizer
    "±1": [(1, True)],
    "2 to 8 bits, signed": [(bits, True) for bits in range(2, 9)],
    "2 to 8 bits, unsigned": [(bits, False) for bits in range(2, 9)],
    "the host's integers": [(0, False)],
    "9 bits": [(9, False), (9, True)],
    "1 bit, unsigned": [(1, False)],
}
BITS = {"weights of ±1": [1], "of 2 to 8 bits": list(range(2, 9)), "of 9 bits": [9], "float": [0]}


def cells() -> Iterator[tuple[str, str, str]]:
    """Data, weights, and what the table says of them."""
    rows = TEXT.partition("| data | weights of ±1 |")[2].partition("\n\n")[0]
    for line in ("| data | weights of ±1 |" + rows).splitlines()[2:]:
        data, *said = (cell.strip() for cell in line.strip("|").split("|"))
        yield from ((data, weights, cell) for weights, cell in zip(BITS, said, strict=True))


CELLS = list(cells())


def test_the_table_names_every_format() -> None:
    assert {data for data, *_ in CELLS} == set(DATA)
    assert len(CELLS) == len(DATA) * len(BITS)


@pytest.mark.parametrize(("data", "weights", "said"), CELLS)
def test_the_table_is_what_the_reader_does(net: Make, tmp_path: Path, data: str, weights: str, said: str) -> None:
    values = np.array([[3.0, -2, 1, 2], [1, 1, -3, 2], [-1, 2, 1, 3]])
    for width, signed in DATA[data]:
        for bits in BITS[weights]:
            model = net(1, 4)
            if width:
                model = model.sign() if (width, signed) == (1, True) else model.quant(width, 0.5, signed=int(signed))
            model = model.op("MatMul", 0.3 * values.T) if bits == 0 else model.dense(values, 1.0, bits=bits)
            found = explain(model.save(tmp_path / "net.onnx"), CompileConfig(), trusted=True)
            assert bool(found.faults) == (said == "refused"), (data, bits, found.faults)
            if said != "refused":
                assert (found.layers[-1].xnor > 0) == (said == "XNOR")
