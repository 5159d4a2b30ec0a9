# SPDX-License-Identifier: Apache-2.0
"""Stage kinds, one module each, and the streams between them."""

from adiabit.hw.stages.accumulator import accumulators
from adiabit.hw.stages.add import Add
from adiabit.hw.stages.affine import Affine
from adiabit.hw.stages.base import KINDS, Call, Caption, Folding, Instance, Lanes, Memory, Stage, Unary
from adiabit.hw.stages.concat import Concat
from adiabit.hw.stages.fifo import Fifo
from adiabit.hw.stages.fork import Fork
from adiabit.hw.stages.grouped import GroupedMatrixVector
from adiabit.hw.stages.integers import Array, Ints, divisors, nearest_divisors, signed_bits
from adiabit.hw.stages.label_select import LabelSelect
from adiabit.hw.stages.matrix_vector import MatrixVector
from adiabit.hw.stages.pad import Pad
from adiabit.hw.stages.product import Product
from adiabit.hw.stages.reduce import Pool, SumPool
from adiabit.hw.stages.stream import Kind, Stream, integer_type
from adiabit.hw.stages.threshold import Threshold
from adiabit.hw.stages.width_converter import WidthConverter
from adiabit.hw.stages.window import Window

__all__ = [
    "KINDS",
    "Add",
    "Affine",
    "Array",
    "Call",
    "Caption",
    "Concat",
    "Fifo",
    "Folding",
    "Fork",
    "GroupedMatrixVector",
    "Instance",
    "Ints",
    "Kind",
    "LabelSelect",
    "Lanes",
    "MatrixVector",
    "Memory",
    "Pad",
    "Pool",
    "Product",
    "Stage",
    "Stream",
    "SumPool",
    "Threshold",
    "Unary",
    "WidthConverter",
    "Window",
    "accumulators",
    "divisors",
    "integer_type",
    "nearest_divisors",
    "signed_bits",
]  # fmt: skip
