# SPDX-License-Identifier: Apache-2.0
"""Recipes of random tables, keys and values: read and usable, or refused in one line."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from adiabit.flows import cli
from adiabit.flows.recipe import Recipe
from adiabit.train.blocks import Layer
from adiabit.train.methods import METHODS

VALUES = (
    "0", "1", "-1", "2", "3", "7", "64", "256", "1000000000", "9223372036854775807",
    "1000000000000", "-9223372036854775808", "0.5", "1.5", "-0.0", "inf", "-inf", "nan", "1e308", "1e-320", "true",
    "false", '""', '"adiabatic"', '"ste"', '"free"', '"tfc"', '"cnv"', '"digits"', '"cpu"', '"cuda"', '"pynq-z2"',
    '"../x"', '"\\u0000"', '"a\\nb"', f'"{"n" * 300}"', "[]", "[1]", "[1, 2]", "[0, 0]", "[-1, 5]", "[1, 2, 3]",
    "[[1]]", "[{}]", "{}", "{ name = 1 }", '{ name = "ste" }', "{ a = { b = { c = 1 } } }", "1979-05-27",
    "[{ conv = 4 }, { dense = 8 }]", "[{ dense = 8 }, { conv = 4 }]", "[{ conv = 4, kernel = 99 }]",
    "[{ conv = 4, pad = 1000000 }]", "[" * 80 + "]" * 80,
)  # fmt: skip
TOPS = ("data", "model", "train", "export", "target", "compile", "simulate")


def _keys() -> dict[str, list[str]]:
    """The keys of each table, and one that does not exist."""
    tables = {top: [*Recipe.model_fields[top].annotation.model_fields, "kee"] for top in TOPS}  # type: ignore[union-attr]
    tables[""] = [*Recipe.model_fields, "kee"]
    tables["compile.fold"] = ["fps", "luts", "stages", "finn_json", "kee"]
    tables["train.method"] = [key for table in METHODS for key in table.model_fields]
    tables["train.method.schedule"] = ["kind", "activations", "weights_until", "target", "k", "kee"]
    tables["train.distill"] = ["teacher", "logits", "temperature", "features", "compare"]
    tables["model.layers"] = list(Layer.model_fields)
    return tables


def recipe(rng: random.Random) -> str:
    """TOML of up to five random keys, sometimes damaged as text."""
    tables, lines = _keys(), dict[str, dict[str, str]]()
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        table = rng.choice(sorted(tables))
        lines.setdefault(table, {})[rng.choice(tables[table])] = rng.choice(VALUES)
    text = "".join(_table(name, keys) for name, keys in sorted(lines.items()))
    if rng.random() < 0.15:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(("[", "]", '"', "=", "\0", "\n", "#")) + text[place + 1 :]
    return text


def _table(name: str, keys: dict[str, str]) -> str:
    head = f"[{name}]\n" if name and name != "model.layers" else "[[model.layers]]\n" if name else ""
    return head + "".join(f"{key} = {value}\n" for key, value in keys.items())


def cases(seed: int, count: int) -> Iterator[str]:
    """`count` recipes, the same for the same seed."""
    for index in range(count):
        yield recipe(random.Random(f"{seed} {index}"))  # noqa: S311  # no secret


@pytest.mark.parametrize(
    ("seed", "count"), [(1, 30), pytest.param(2, 400, marks=pytest.mark.full)], ids=["quick", "long"]
)
def test_a_recipe_is_used_or_refused_in_one_line(
    seed: int, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, codes = tmp_path / "n.toml", []
    for text in cases(seed, count):
        path.write_text(text)
        codes.append(cli.main(["summary", str(path)]))  # builds the network
        captured = capsys.readouterr()
        assert codes[-1] in (0, 2), text
        assert captured.err.count("\n") == (codes[-1] == 2), (text, captured.err)
        assert codes[-1] == 0 or str(tmp_path) in captured.err or "recipe: [" in captured.err, text
    assert 0 in codes
    assert 2 in codes
