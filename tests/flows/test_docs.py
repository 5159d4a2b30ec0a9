# SPDX-License-Identifier: Apache-2.0
"""The documents are complete and correct: they list every key of a recipe, and every path that they name exists."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from adiabit.flows.cli.app import ORDER, app
from adiabit.flows.recipe import Recipe, models_in
from adiabit.train.data import DATASETS
from adiabit.train.methods import METHODS

ROOT = Path(__file__).parents[2]


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in models_in(field.annotation):
            if inner is not model:  # layers hold layers
                yield from keys(inner)


def test_every_key_of_a_recipe_is_documented() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "docs/recipe.md").read_text(), flags=re.DOTALL)
    told = set(re.findall(r"[a-z_][a-z_0-9]*", " ".join(re.findall(r"`[^`]+`|\[[a-z.]+\]", text))))
    assert {key for table in (Recipe, *METHODS, *DATASETS) for key in keys(table)} - told == set()


def test_tables_of_keys_are_those_of_the_models() -> None:
    """Else: python docs/site/keys.py."""
    spec = importlib.util.spec_from_file_location("keys", ROOT / "docs/site/keys.py")
    assert spec is not None
    assert spec.loader is not None
    keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(keys)
    text = keys.DOCUMENT.read_text()
    assert keys.rewritten(text) == text
    assert keys.rewritten(text.replace("| `epochs` |", "| `epoch` |")) == text
    for name in set(re.findall(r"<!-- keys: (\w+)", text)):
        told = keys.docstrings(keys.MODELS[name])
        assert [key for key in named(text, name) if not told.get(key)] == []


def named(text: str, model: str) -> list[str]:
    """The keys that the document's table of a model has."""
    block = text.partition(f"<!-- keys: {model}")[2].partition("<!-- end -->")[0]
    return re.findall(r"^\| `(\w+)`", block, re.MULTILINE)


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/recipe.md",
        "docs/data.md",
        "docs/ci.md",
        "docs/cli.md",
    ],
)
def test_paths_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    places = re.findall(r"`((?:train|hw|flows|boards|recipes|benchmarks|docs)/[\w./-]*)", text)
    missing = [p for p in [*links, *places] if not (ROOT / p).exists() and not ((ROOT / document).parent / p).exists()]
    assert missing == []


def test_the_command_line_is_documented() -> None:
    """Each verb has a row with its own options; each option that the page names exists, and none is missing."""
    text = (ROOT / "docs/cli.md").read_text()
    rows = {found[1]: found[2] for found in re.finditer(r"^\| `([a-z]+)[^|]*\|[^|]*\|([^|]*)\|$", text, re.MULTILINE)}
    group: Any = typer.main.get_command(app)
    taken = {name: {option for p in verb.params for option in p.opts if option.startswith("--")}
             for name, verb in group.commands.items()}  # fmt: skip
    assert list(rows) == list(ORDER)
    elsewhere = set(re.findall(r"--[a-z][a-z-]*", re.sub(r"^\| `[a-z]+[ \[`].*$", "", text, flags=re.MULTILINE)))
    for name, options in taken.items():
        own = set(re.findall(r"--[a-z][a-z-]*", rows[name]))
        assert own <= options, name
        assert options - own <= elsewhere, name
    known = {option for options in taken.values() for option in options} | {o for p in group.params for o in p.opts}
    assert elsewhere - {"--help"} <= known
    assert {option for p in group.params for option in p.opts if option.startswith("--")} <= elsewhere
