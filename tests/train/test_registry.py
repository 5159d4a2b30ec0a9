# SPDX-License-Identifier: Apache-2.0
"""A method and a data set of one's own: each one class and one decorator, outside the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from adiabit.errors import UserError
from adiabit.flows.recipe import load
from adiabit.train import data, loop
from adiabit.train.absorb import absorb_scales
from adiabit.train.checkpoint import load_card, load_model
from adiabit.train.data import DATASETS, DataTable, Source, Split
from adiabit.train.method import Method, method
from adiabit.train.methods import METHODS, MethodTable
from adiabit.train.network import Network
from adiabit.train.quantizers import BipolarQuantizer, hardened, passed, sign
from adiabit.train.registry import Registry
from adiabit.train.table import Count, Factor

RECIPE = """
[data]
dataset = "bars"
frames = 120
[model]
topology = "free"
widths = [8]
[train]
epochs = 1
batch_size = 96
[train.method]
name = "toy"
scale = 3
"""


class ToyQuantizer(BipolarQuantizer):
    """y = scale * sign(w), dy/dw = scale."""

    def __init__(self, scale: float) -> None:
        super().__init__("weight")
        self.scale_of_weights = scale

    def factor(self, x: Tensor) -> Tensor:
        """One scale for all rows."""
        return x.new_tensor(self.scale_of_weights)

    def quantize(self, x: Tensor) -> Tensor:
        """scale * sign(w)."""
        return self.factor(x) * passed(x, sign(x))


class ToyMethod(Method["Toy"]):
    """Scaled signs."""

    def weight(self, outputs: int) -> BipolarQuantizer:  # noqa: ARG002
        """Scaled."""
        return ToyQuantizer(self.table.scale)


class Toy(MethodTable):
    """A method with a key and a learning rate of its own."""

    learning_rate: ClassVar[float] = 0.5

    name: Literal["toy"] = "toy"
    scale: Factor = 2.0

    def build(self) -> Method[Any]:
        """Scaled signs."""
        return ToyMethod(self)


class Bars(DataTable):
    """Frames with a bright row or a bright column."""

    source: ClassVar[Source] = Source((6, 6, 1), 2)

    dataset: Literal["bars"] = "bars"
    frames: Count = 60

    def splits(self) -> tuple[Split, Split]:
        """The test split is as large as the training split."""
        return self.split(1), self.split(2)

    def split(self, seed: int) -> Split:
        """Bars at random places."""
        rng = np.random.default_rng(seed)
        labels = np.arange(self.frames) % 2
        bars = np.zeros((self.frames, 6, 6), dtype=np.uint8)
        bars[np.arange(self.frames), rng.integers(0, 6, self.frames)] = 255
        bars[labels == 1] = bars[labels == 1].transpose(0, 2, 1)
        return Split(bars.reshape(-1, 36), labels.astype(np.int64))

    def version(self) -> str:
        """Of the frames."""
        return f"bars {self.frames}"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are registered for one test."""
    for registry in (METHODS, DATASETS):
        monkeypatch.setattr(registry, "_tables", dict(registry._tables))
        monkeypatch.setattr(registry, "_union", None)
    METHODS.register(Toy)
    DATASETS.register(Bars)


def write(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "net.toml"
    path.write_text(text)
    return path


@pytest.mark.usefixtures("registered")
def test_a_recipe_trains_ones_own_method_on_ones_own_data(tmp_path: Path) -> None:
    recipe = load(write(tmp_path))
    assert recipe.train.method == Toy(scale=3)
    assert recipe.train.learning_rate == 0.5
    assert recipe.model_dump(include={"data"})["data"]["frames"] == 120
    assert data.digest(recipe.data) != data.digest(Bars())
    (folder := tmp_path / "train").mkdir()
    loop.fit(recipe.data, recipe.model, recipe.train, folder, progress=False, quiet=True)  # one step: 108 frames
    assert json.loads((folder / "metrics.json").read_text())["method"] == "toy"
    assert (load_card(folder).method, load_card(folder).hard) == (Toy(scale=3), True)
    assert load_model(folder).frame == (36,)


@pytest.mark.usefixtures("registered")
def test_the_hardwares_network_absorbs_the_scale_of_ones_own_method(tmp_path: Path) -> None:
    recipe = load(write(tmp_path))
    torch.manual_seed(0)
    net = Network(recipe.model, recipe.train.method, frame=(36,), classes=2).eval()
    made = absorb_scales(net)
    x = torch.randint(0, 256, (64, 36)).float()
    with hardened(net), hardened(made), torch.no_grad():
        torch.testing.assert_close(made(x), net(x))
    assert method(recipe.train.method).table == recipe.train.method


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scale = 3", "scael = 3", "[train.method]: scael: unknown key; did you mean 'scale'?"),
        ("scale = 3", "scale = -1", "[train.method]: scale = -1: input should be greater than or equal to 0"),
        ('"toy"', '"tyo"', "'ste', 'toy', 'xnor-net'; nearest: 'toy'"),
        ("frames = 120", "frame = 120", "[data]: frame: unknown key; did you mean 'frames'?"),
        (
            '"bars"',
            '"baas"',
            "must be one of 'arrays', 'audio', 'bars', 'catdog', 'cifar10', ",
        ),
    ],
)
def test_ones_own_tables_are_checked_as_any_other(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        load(write(tmp_path, RECIPE.replace(old, new)))


@pytest.mark.usefixtures("registered")
def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match=r"name 'toy' is registered already, by .*test_registry"):
        METHODS.register(Toy)


def test_a_registry_of_one_table_needs_no_more() -> None:
    registry: Registry[MethodTable] = Registry(tag="name", default="toy")
    registry.register(Toy)
    assert registry.validate({"scale": 1}) == Toy(scale=1)


def test_recipes_are_read_without_torch(tmp_path: Path) -> None:
    path = write(tmp_path, "[train]\nmethod = 'bop'\n[data]\ndataset = 'mnist'\n")
    code = f"import sys, pathlib; from adiabit.flows.recipe import load; load(pathlib.Path({str(path)!r})); "
    code += "print({'torch', 'brevitas', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("keys", [
    {"dataset": "digits"}, {"dataset": "mnist"}, {"dataset": "cifar10"}, {"dataset": "cifar100"},
    {"dataset": "cifar100", "labels": "coarse"}, {"dataset": "catdog"}, {"dataset": "spoken-digits"},
], ids=lambda keys: " ".join(keys.values()))  # fmt: skip
def test_classes_of_built_in_data_have_names(keys: dict[str, str]) -> None:
    table = DATASETS.validate(keys)
    assert len(table.legend.names) == table.source.classes
    assert list(table.legend.names) == sorted(table.legend.names)
    assert table.legend.encoding is None
