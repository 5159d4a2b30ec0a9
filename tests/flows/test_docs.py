# SPDX-License-Identifier: Apache-2.0
"""The documents are complete and correct: they list every key of a recipe, and every path that they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from adiabit.flows.recipe import Recipe, _models
from adiabit.train.data import DATASETS
from adiabit.train.methods import METHODS

ROOT = Path(__file__).parents[2]


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation):
            if inner is not model:  # layers hold layers
                yield from keys(inner)


def test_every_key_of_a_recipe_is_documented() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "docs/recipe.md").read_text(), flags=re.DOTALL)
    told = set(re.findall(r"[a-z_][a-z_0-9]*", " ".join(re.findall(r"`[^`]+`|\[[a-z.]+\]", text))))
    assert {key for table in (Recipe, *METHODS, *DATASETS) for key in keys(table)} - told == set()


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/recipe.md", "docs/ci.md"]
)
def test_paths_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    places = re.findall(r"`((?:train|hw|flows|boards|recipes|benchmarks|docs)/[\w./-]*)", text)
    missing = [p for p in [*links, *places] if not (ROOT / p).exists() and not ((ROOT / document).parent / p).exists()]
    assert missing == []
