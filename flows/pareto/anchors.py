# SPDX-License-Identifier: Apache-2.0
"""Published accelerators with their accuracy and resources: the file `anchors.toml`, one table a design.

A figure stands there as its source prints it. What the source does not say is left out, so it is None here.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows import documents

SHIPPED = Path(__file__).parent / "anchors.toml"
FORM = f"see {SHIPPED} for the form"

Data = Literal["mnist", "cifar10"]

Stage = Literal["place and route", "synthesis", "HLS estimate"]
"""Where the LUTs were counted.

"place and route": the design was placed and routed, and its timing was met or is the clock that is given.
"synthesis": the netlist was counted before placement, which may still merge or copy LUTs.
"HLS estimate": the compiler of C++ predicted them before any logic synthesis, often well above the netlist's count.
"""

Encoder = Literal["counted", "not counted", "none"]
"""Whether the LUTs include the circuit that turns pixels into the bits that the first layer reads.

"counted": the thermometer encoder or quantizer is part of the design whose LUTs are given.
"not counted": the design needs one, and reads bits that something else has already encoded.
"none": the design reads pixels as the data set has them, or single bits of them, so there is no such circuit.
"""

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int | None, Field(ge=0)]
Rate = Annotated[float | None, Field(gt=0)]


class Anchor(BaseModel):
    """One published design."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: Text  # of the design, unique in its data set
    method: Text  # the system that made it
    data: Data
    data_note: Text  # form of the images, test split, digits of the accuracy
    accuracy: float = Field(gt=0, le=1)  # on the test split
    lut: int = Field(gt=0)
    ff: Count = None
    bram18: Count = None  # twice the block RAMs where the source counts those of 36 Kbit
    dsp: Count = None
    clock_mhz: Rate = None
    latency_us: Rate = None
    fps: Rate = None
    part: Text | None = None
    tool: Text | None = None
    stage: Stage | None = None
    encoder: Encoder | None = None
    source: Text  # paper, year, table; where the figures were read
    url: str = Field(pattern=r"^https://\S+$")
    note: str = ""
    verified: bool = True  # False: at least one figure is from memory of the paper, and was not read again


class _Tables(BaseModel):
    model_config = ConfigDict(extra="forbid")

    anchor: list[dict[str, Any]] = Field(min_length=1)


def load(path: Path = SHIPPED) -> tuple[Anchor, ...]:
    """The designs in the order of the file; `UserError` names the table and key of a fault."""
    document = documents.toml(path, files.read_text(path, FORM), FORM)
    try:
        tables = _Tables.model_validate(document).anchor
    except ValidationError as error:
        raise UserError(f"{path}: {documents.fault(error)}; {FORM}") from error
    anchors = tuple(_anchor(path, number, table) for number, table in enumerate(tables, start=1))
    (data, name), count = Counter((anchor.data, anchor.name) for anchor in anchors).most_common(1)[0]
    if count > 1:
        raise UserError(f"{path}: {count} tables [[anchor]] of {data} are named {name!r}; give each its own name")
    return anchors


def _anchor(path: Path, number: int, table: dict[str, Any]) -> Anchor:
    try:
        return Anchor.model_validate(table)
    except ValidationError as error:
        place = f"[[anchor]] number {number} ({str(table.get('name', 'unnamed'))[:60]!r})"
        raise UserError(f"{path}: {place}: {documents.fault(error)}; {FORM}") from error
