# SPDX-License-Identifier: Apache-2.0
"""The tables of keys in docs/recipe.md, made from the recipe's own models.

Usage: python docs/site/keys.py
Rewrites what lies between `<!-- keys: MODEL -->` and `<!-- end -->`, where MODEL is a class of `MODELS`, and names of
its keys may follow; by default all but those of `BASES`. A key's text is its docstring, the rest its annotation.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from adiabit.flows.check.budget import Budget
from adiabit.flows.frontend.config import CompileConfig, FoldConfig, StageFold
from adiabit.flows.recipe import ExportConfig, Recipe, TargetConfig
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.train.blocks import Layer
from adiabit.train.config import Distill, ModelConfig, TrainConfig
from adiabit.train.data import DATASETS, DataTable
from adiabit.train.data.folders import ClassFolders
from adiabit.train.data.function import Function
from adiabit.train.data.own import OwnData
from adiabit.train.methods import METHODS

DOCUMENT = Path(__file__).parents[1] / "recipe.md"
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        Recipe, DataTable, OwnData, ClassFolders, Function, *DATASETS, ModelConfig, Layer, TrainConfig, *METHODS,
        Distill, ExportConfig, CompileConfig, FoldConfig, StageFold, TargetConfig, SimulateConfig, Budget,
    )
}  # fmt: skip
BLOCK = re.compile(r"(<!-- keys: (\w+)((?: \w+)*) -->\n).*?(<!-- end -->)", re.DOTALL)
BASES: tuple[type[BaseModel], ...] = (DataTable, OwnData)  # whose keys have a table of their own
KINDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "`true` or `false`", "array": "list",
         "object": "table"}  # fmt: skip


def main() -> None:
    """Rewrite the document."""
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text()))


def rewritten(text: str) -> str:
    """The document with its tables made anew."""

    def made(found: re.Match[str]) -> str:
        model = MODELS[found[2]]
        shared = {key for base in BASES if issubclass(model, base) and model is not base for key in base.model_fields}
        names = found[3].split() or [key for key in model.model_fields if key not in shared]
        return found[1] + "\n".join(table(model, names)) + "\n" + found[4]

    return BLOCK.sub(made, text)


def table(model: type[BaseModel], names: list[str]) -> list[str]:
    """The Markdown lines of a table of keys."""
    schema, texts = model.model_json_schema(), docstrings(model)
    properties = schema.get("properties") or schema["$defs"][model.__name__]["properties"]
    lines = ["| key | values | default | |", "| --- | --- | --- | --- |"]
    for name in names:
        field, found = model.model_fields[name], properties[name]
        default = (
            ""
            if field.is_required() or field.default is None
            else _default(field.get_default(call_default_factory=True))
        )
        cells = (f"`{name}`", _values(found, schema), default, " ".join(texts.get(name, "").split()))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return lines


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring of each key, which stands below its line in the model's source or in that of a base class."""
    found: dict[str, str] = {}
    for kind in reversed([k for k in model.__mro__ if issubclass(k, BaseModel) and k is not BaseModel]):
        parsed = ast.parse(textwrap.dedent(inspect.getsource(kind)))
        for item, after in itertools.pairwise(next(n for n in parsed.body if isinstance(n, ast.ClassDef)).body):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(item, ast.AnnAssign) and isinstance(text, ast.Constant):
                found[ast.unparse(item.target)] = str(text.value)
    return found


def _default(value: Any) -> str:
    """A default as TOML has it; of a table, its name."""
    if isinstance(value, BaseModel):
        tag = getattr(value, "name", None) or getattr(value, "dataset", None)
        return f"`{json.dumps(tag)}`" if tag else ""
    plain = to_jsonable_python(value)
    return "" if plain in (None, [], {}) else f"`{json.dumps(plain)}`"


def _values(found: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key takes, in a few words."""
    if ref := found.get("$ref"):
        found = schema["$defs"][ref.rpartition("/")[2]]
    if options := found.get("anyOf"):
        kinds = [_values(option, schema) for option in options if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in found or "const" in found:
        return ", ".join(f"`{json.dumps(value)}`" for value in found.get("enum", [found.get("const")]))
    if found.get("format") == "path":
        return "path"
    kind = KINDS.get(found.get("type", ""), "table")
    least, most = found.get("minimum"), found.get("maximum")
    above, below = found.get("exclusiveMinimum"), found.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f"{kind}, {_number(least)} to {_number(most)}"
    bounds = (("at least", least), ("above", above), ("at most", most), ("below", below))
    words = [f"{word} {_number(bound)}" for word, bound in bounds if bound is not None]
    return ", ".join([kind, " and ".join(words)]) if words else kind


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or (value == int(value) and abs(value) < 1e9) else f"{value:g}"


if __name__ == "__main__":
    main()
