# SPDX-License-Identifier: Apache-2.0
"""The configuration of compiling: frozen, checked at construction, without unknown keys."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Parallel = Annotated[int, Field(ge=1)]
MOST_BEATS = 1 << 20  # depth of a FIFO


class Table(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageFold(Table):
    """The parallelism of one stage, in FINN's terms; thresholds and the label stage use `pe` only."""

    pe: Parallel = 1
    simd: Parallel = 1
    memory: Literal["auto", "lut", "block", "hardwired"] = "auto"


class FoldConfig(Table):
    """How the accelerator is folded, by one of a frame rate, a LUT budget, values for each stage, or FINN's JSON.

    Without any of them, it is as fast as fits into half of the board's part. `bram18` bounds the block RAMs; `buffers`
    sets the depths of the FIFOs between stages.
    """

    fps: Annotated[float, Field(gt=0)] | None = None  # at least so many frames a second, with the fewest LUTs
    luts: Parallel | None = None  # at most so many LUTs, with the most frames a second
    stages: dict[str, StageFold] | None = None  # by stage name, e.g. fc0, threshold0, label
    finn_json: Path | None = None  # a folding configuration in FINN's form
    bram18: Annotated[int, Field(ge=0)] | None = None  # 18 Kbit block RAMs at most; None: nine tenths of the board's
    buffers: Literal["full-rate", "least"] | dict[str, int] = "full-rate"  # a rule, or the depth by stream

    @field_validator("buffers", mode="before")
    @classmethod
    def _rule_or_depths(cls, value: Any) -> Any:
        depths = value.values() if isinstance(value, dict) else [] if value in ("full-rate", "least") else [None]
        if not all(type(depth) is int and 2 <= depth <= MOST_BEATS for depth in depths):
            raise ValueError(
                f"must be 'full-rate', 'least', or depths of 2 to {MOST_BEATS} by stream, e.g. {{ x = 8 }}"
            )
        return value

    @property
    def targets(self) -> list[str]:
        """The given keys among those that determine the folding."""
        return [name for name in ("fps", "luts", "stages", "finn_json") if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = self.targets
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; keep one of them")
        return self

    @property
    def free(self) -> bool:
        """Whether the folding is left to the compiler."""
        return not self.targets


class CompileConfig(Table):
    """How a QONNX model becomes an accelerator."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "accelerator"  # of the circuit's top module
    input_bits: Annotated[int, Field(ge=1, le=16)] = 8  # of an element from the host; 1 stands for -1 and +1
    input_signed: bool = False
    input_scale: float = 1.0  # the model sees input_scale * element + input_offset
    input_offset: float = 0.0
    label_select: bool = True  # False: the output is the last layer's accumulators
    fold: FoldConfig = FoldConfig()

    @model_validator(mode="after")
    def _finite_input(self) -> Self:
        if not math.isfinite(self.input_scale) or not math.isfinite(self.input_offset) or self.input_scale == 0:
            raise ValueError("input_scale must be finite and not 0, input_offset must be finite")
        return self
