# SPDX-License-Identifier: Apache-2.0
"""A recipe's network, layer by layer, before anything is trained."""

from __future__ import annotations

from rich.console import RenderableType

from adiabit.errors import UserError
from adiabit.flows.recipe import Recipe
from adiabit.flows.report.tables import NONE, Cell, Column, Table, count
from adiabit.flows.report.terminal import rich_table
from adiabit.train.models import build
from adiabit.train.summary import LayerSummary, summary
from adiabit.train.trainable import Trainable

HEADS = (
    Column("Layer"), Column("Weights"), Column("Output"), Column("1-bit", True), Column("integer", True),
    Column("float", True), Column("KiB", True), Column("XNOR", True), Column("1 x 8 bit or real", True),
    Column("integer ops", True), Column("float ops", True),
)  # fmt: skip


def layers(recipe: Recipe) -> list[LayerSummary]:
    """The layers of a recipe's network; `UserError` for a QONNX model, whose layers the recipe does not describe."""
    return summary(_network(recipe))


def table(recipe: Recipe) -> RenderableType:
    """The network of a recipe as a table; `UserError` as :func:`layers`."""
    net = _network(recipe)
    rows = summary(net)
    keys = ("binary", "integer", "integer_bits", "real", "xnor", "mixed", "multiply", "full")
    total = LayerSummary(name="all", shape=(), out=(), **{key: sum(getattr(row, key) for row in rows) for key in keys})
    note = (
        "Operations per frame; a multiplication and its addition count as one. In hardware the float parameters become "
        "integer thresholds."
    )
    title = f"{recipe.name}: {net.method.table.name}, {' x '.join(map(str, net.frame))} in, {net.classes} classes"
    shown = Table(title=title, columns=HEADS, rows=tuple(_cells(row) for row in [*rows, total]), notes=(note,))
    return rich_table(shown)


def _network(recipe: Recipe) -> Trainable:
    if recipe.onnx is not None:
        raise UserError(
            f"{recipe.onnx}: a QONNX model; a summary needs a recipe with a [model]; `adiabit compile` lists the "
            "stages of a QONNX model"
        )
    return build(recipe.model, recipe.train.method, recipe.train.dropout, recipe.data.source)


def _cells(row: LayerSummary) -> tuple[Cell, ...]:
    shapes = (" x ".join(map(str, shape)) or NONE for shape in (row.shape, row.out))
    figures = (count(n) if n else NONE for n in (row.binary, row.integer, row.real))
    operations = (count(n) if n else NONE for n in (row.xnor, row.mixed, row.multiply, row.full))
    return tuple(Cell(text) for text in (row.name, *shapes, *figures, f"{row.memory / 1024:,.1f}", *operations))
