# SPDX-License-Identifier: Apache-2.0
"""The board's rung, read from the file that the driver saved on the board."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.bitstream.figures import OnBoard, save_board
from adiabit.flows.ladder import Rung, RungName, save_rungs
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.storage import digest

REMEDY = "on the board, python3 -m adiabit_driver NAME.bit --verify vectors.npz --save FILE writes one"


class Record(BaseModel):
    """The file that `adiabit_driver --verify NPZ --save FILE` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str  # of the accelerator, read from the circuit
    frames: int = Field(ge=1)
    equal: int = Field(ge=0)
    first: int | None  # the first frame that differs
    measured: OnBoard  # filled in on a PYNQ board with --measure

    @model_validator(mode="after")
    def _counts(self) -> Record:
        if self.equal > self.frames:
            raise ValueError(f"equal = {self.equal} exceeds frames = {self.frames}")
        return self


def take_in(file: Path, accelerator: Accelerator, folder: Path) -> None:
    """Write `rungs.json` and `board.json` into the stage's folder.

    `UserError` if the file is not from the driver, or belongs to another accelerator.
    """
    try:
        record = Record.model_validate_json(files.read_text(file, REMEDY))
    except ValidationError as error:
        raise UserError(f"{file}: not a record of the driver ({_reason(error)}); {REMEDY}") from error
    if record.identity != (own := digest(accelerator)):
        raise UserError(
            f"{file}: belongs to accelerator {record.identity}, but this run's is {own}; verify the bitstream of this "
            "run"
        )
    difference = "" if record.first is None else f"frame {record.first}: the board's result differs"
    rung = Rung(
        name=RungName.BOARD,
        frames=record.frames,
        equal=record.equal,
        compared="results over the driver",
        difference=difference,
    )
    save_rungs(folder, [rung])
    save_board(folder, record.measured)


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]]) if first["loc"] else first["msg"]
