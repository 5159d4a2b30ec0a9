# SPDX-License-Identifier: Apache-2.0
"""Common parts of the stages that read images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adiabit.hw.stages.base import Parameter, Unary
from adiabit.hw.stages.stream import Kind, Stream

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStage(Unary):
    """A stage that reads an image (H, W, C)."""

    def _image_shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of the input; refuses any other number of axes."""
        if len(self.input.shape) != 3:
            self.refuse(f"input {self.input} must have the shape (H, W, C)")
        height, width, channels = self.input.shape
        return height, width, channels


def raster(stream: Stream) -> dict[str, Parameter]:
    """RTL parameters of an image: beats of a pixel, rows and columns."""
    return {"Words": stream.words, "Rows": stream.shape[0], "Columns": stream.shape[1]}


def image(stream: Stream) -> str:
    """C++ type of an image."""
    return f"bnn::Image<{', '.join(map(str, stream.shape))}>"


def pair(name: str, sides: tuple[int, int]) -> str:
    """C++ type of rows and columns: `name` is Kernel, Stride, Before and so on."""
    return f"bnn::{name}<{sides[0]}, {sides[1]}>"


def sides(pair: Sequence[int]) -> str:
    """Rows and columns for a caption."""
    return f"{pair[0]} {TIMES} {pair[1]}"


def code_of(value: int, stream: Stream) -> int:
    """The bits of an element of `value`, as an unsigned integer."""
    return int(value > 0) if stream.kind is Kind.BIPOLAR else value % 2**stream.bits
