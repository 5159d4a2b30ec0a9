# SPDX-License-Identifier: Apache-2.0
"""The ladder's last rung: what the driver measured on a board, read from the file that it saved there."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.bitstream.figures import OnBoard, save_board
from adiabit.flows.ladder import Rung, RungName, save_rungs
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.storage import digest

HOW = "on the board, python3 -m adiabit_driver NAME.bit --verify vectors.npz --save FILE writes one"


class Record(BaseModel):
    """The file that `adiabit_driver --verify NPZ --save FILE` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str  # read from the circuit
    frames: int = Field(ge=1)
    equal: int = Field(ge=0)
    first: int | None  # the first frame that differs
    measured: OnBoard  # on a PYNQ board with --measure

    @model_validator(mode="after")
    def _counts(self) -> Record:
        if self.equal > self.frames:
            raise ValueError(f"equal = {self.equal} of {self.frames} frames")
        return self


def take_in(file: Path, accelerator: Accelerator, folder: Path) -> None:
    """Write `rungs.json` and `board.json` into the stage's folder.

    `UserError` where the file does not come from the driver, or belongs to another accelerator.
    """
    try:
        record = Record.model_validate_json(files.read_text(file, HOW))
    except ValidationError as error:
        raise UserError(f"{file}: not a record of a board ({_reason(error)}); {HOW}") from error
    if record.identity != (here := digest(accelerator)):
        raise UserError(
            f"{file}: belongs to accelerator {record.identity}, but this run's is {here}; make the bitstream of this "
            "run and verify that"
        )
    told = "" if record.first is None else f"frame {record.first}: the board's result differs"
    rung = Rung(
        name=RungName.BOARD,
        frames=record.frames,
        equal=record.equal,
        compared="results over the driver",
        difference=told,
    )
    save_rungs(folder, [rung])
    save_board(folder, record.measured)


def _reason(error: ValidationError) -> str:
    first = error.errors()[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]]) if first["loc"] else first["msg"]
