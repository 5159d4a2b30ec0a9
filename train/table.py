# SPDX-License-Identifier: Apache-2.0
"""Tables of a recipe: their base class and the types of their keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Table(BaseModel):
    """A table of a recipe: frozen, without unknown keys, and every number is finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


MOST = 1_000_000  # the largest count: beyond every use, and the product of a few such counts fits into 64 bits
Count = Annotated[int, Field(ge=1, le=MOST)]
Pair = Annotated[tuple[Count, Count], BeforeValidator(_pair)]  # (rows, columns); one number stands for both
Pad = Annotated[int, Field(ge=0, le=MOST)]
Pads = Annotated[tuple[Pad, Pad], BeforeValidator(_pair)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # the seeds derived from it for epochs and processes fit into 64 bits

Share = Annotated[float, Field(ge=0, le=1)]
Slope = Annotated[float, Field(ge=1e-6, le=1e6)]  # so that no product overflows float32
Factor = Annotated[float, Field(ge=0, le=1e6)]
Growth = Annotated[float, Field(gt=1, le=1e6)]
Power = Annotated[float, Field(ge=0, le=10)]
