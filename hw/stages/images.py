# SPDX-License-Identifier: Apache-2.0
"""What the stages that read images share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adiabit.hw.stages.base import Parameter, Unary
from adiabit.hw.stages.stream import Kind, Stream

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStage(Unary):
    """Reads an image (H, W, C)."""

    def _reads_image(self) -> tuple[int, int, int]:
        if len(self.input.shape) != 3:
            self.refuse(f"input {self.input} must have the shape (H, W, C)")
        height, width, channels = self.input.shape
        return height, width, channels


def raster(stream: Stream) -> dict[str, Parameter]:
    """Parameters of an image: beats of a pixel, rows and columns."""
    return {"Words": stream.words, "Rows": stream.shape[0], "Columns": stream.shape[1]}


def image(stream: Stream) -> str:
    """An image's type in C++."""
    return f"bnn::Image<{', '.join(map(str, stream.shape))}>"


def pair(name: str, sides: tuple[int, int]) -> str:
    """A type of rows and columns in C++."""
    return f"bnn::{name}<{sides[0]}, {sides[1]}>"


def sides(pair: Sequence[int]) -> str:
    """Rows and columns for the eye."""
    return f"{pair[0]} {TIMES} {pair[1]}"


def code_of(value: int, stream: Stream) -> int:
    """The bits of an element."""
    return int(value > 0) if stream.kind is Kind.BIPOLAR else value % 2**stream.bits
