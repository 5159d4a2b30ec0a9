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
    """Outputs that are computed at once; divides them."""
    simd: Parallel = 1
    """Inputs that each of them takes at once; divides them."""
    memory: Literal["auto", "lut", "block", "hardwired"] = "auto"
    """Where the weights lie."""


class FoldConfig(Table):
    """How the accelerator is folded, by one of a frame rate, a LUT budget, values for each stage, or FINN's JSON.

    Without any of them, it is as fast as fits into half of the board's part. `bram18` bounds the block RAMs; `buffers`
    sets the depths of the FIFOs between stages.
    """

    fps: Annotated[float, Field(gt=0)] | None = None
    """The fewest LUTs that reach so many frames a second at the target's clock."""
    luts: Parallel | None = None
    """The most frames a second within so many LUTs."""
    stages: dict[str, StageFold] | None = None
    """By stage, e.g. `stages.fc0 = { pe = 16, simd = 49, memory = "block" }`."""
    finn_json: Path | None = None
    """A folding configuration in FINN's form, relative to the recipe."""
    bram18: Annotated[int, Field(ge=0)] | None = None
    """Beside any of these, or alone: the most block RAMs of 18 Kbit; weights take what other stages leave of them. By
    default nine tenths of the board's.
    """
    buffers: Literal["full-rate", "least"] | dict[str, int] = "full-rate"
    """FIFOs between stages. `"full-rate"`: deep enough that a frame takes no longer than the slowest stage; `"least"`:
    the least depths without deadlock; or depths by hand, by the stream that the FIFO reads, e.g. `{ add0_0_in = 12
    }`: a stream that is not named has no FIFO.
    """

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

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "accelerator"
    """Of the circuit's top module."""
    input_bits: Annotated[int, Field(ge=1, le=16)] = 8
    """Of an element from the host; 1 bit stands for -1 and +1."""
    input_signed: bool = False
    """Whether these elements are signed."""
    input_scale: float = 1.0
    """The model sees `input_scale * element + input_offset`."""
    input_offset: float = 0.0
    """See `input_scale`."""
    label_select: bool = True
    """`false`: the accelerator returns the accumulators of the last layer instead of a label."""
    fold: FoldConfig = FoldConfig()
    """The folding, see below."""

    @model_validator(mode="after")
    def _finite_input(self) -> Self:
        if not math.isfinite(self.input_scale) or not math.isfinite(self.input_offset) or self.input_scale == 0:
            raise ValueError("input_scale must be finite and not 0, input_offset must be finite")
        return self
