# SPDX-License-Identifier: Apache-2.0
"""Recipes: defaults for everything, and one clear line for what cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import shipped
from adiabit.flows.recipe import changed, load


def write(folder: Path, text: str) -> Path:
    path = folder / "my_net.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", shipped.names())
def test_every_recipe_of_the_project_loads(name: str) -> None:
    assert load(Path(name)).name == name


@pytest.mark.parametrize("name", shipped.names())
def test_every_recipe_can_be_changed(name: str) -> None:
    recipe = load(Path(name))
    assert changed(recipe, {}) == recipe
    other = changed(recipe, {"train.epochs": 7, "compile.fold": {"fps": 5}})
    assert (other.train.epochs, other.compile.fold.fps, other.compile.fold.luts) == (7, 5, None)
    assert other.model == recipe.model
    with pytest.raises(UserError, match=rf"{name}: \[train\]: epochs = 0"):
        changed(recipe, {"train.epochs": 0})


def test_everything_has_a_default(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, ""))
    assert (recipe.name, recipe.target.board, recipe.model.hidden) == ("my_net", "pynq-z2", (64, 64, 64))


def test_overrides_come_before_the_check(tmp_path: Path) -> None:
    path = write(tmp_path, "[train]\nepochs = 3\n")
    recipe = load(path, ["train.epochs=5", "train.method=ste", "model.topology='sfc'"])
    assert (recipe.train.epochs, recipe.train.method.name, recipe.model.topology) == (5, "ste", "sfc")
    for bad in ("epochs", "=3", "train..epochs=3"):
        with pytest.raises(UserError, match=re.escape(f"--set {bad!r}: must read table.key=value")):
            load(path, [bad])


@pytest.mark.parametrize(
    ("override", "place"),
    [("train.method.schedule.x=1", "train.method = 'ste'"), ("train.epochs.x=1", "train.epochs = 3")],
)
def test_an_override_within_a_value_names_it(tmp_path: Path, override: str, place: str) -> None:
    with pytest.raises(UserError) as caught:
        load(write(tmp_path, "[train]\nepochs = 3\nmethod = 'ste'\n"), [override])
    assert str(caught.value) == (
        f"--set {override!r}: {place} is not a table, so it has no keys; write it as a table in the recipe, or set "
        f"{place.split()[0]} itself"
    )


def test_a_bare_model_is_a_recipe_of_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path / "TFC-1W1A.onnx")
    assert (recipe.name, recipe.onnx) == ("tfc_1w1a", tmp_path / "TFC-1W1A.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepoch = 3", "my_net.toml: [train]: epoch: unknown key; did you mean 'epochs'?"),
        ("[trian]\nepochs = 3", "my_net.toml: trian: unknown key; did you mean 'train'?"),
        ("[train]\nepochs = 0", "[train]: epochs = 0: input should be greater than or equal to 1"),
        ("[train]\nepochs = 0\nbatch_size = 0", "(and 1 more)"),
        (
            "[train]\nmethod = 'adiabtic'",
            "[train.method]: name = 'adiabtic': must be one of 'abc-net', 'adiabatic', ",
        ),
        ("[train.method]\nname = 'bnn+'\nbetta = 6", "[train.method]: betta: unknown key; did you mean 'beta'?"),
        (
            "[train.method]\nname = 'abc-net'\nbases = 3",
            "my_net.toml: [train.method]: more than one base makes a sum of binary products, which",
        ),
        ("[train]\nmethod = 'adiabtic'", "nearest: 'adiabatic'"),
        ("[train]\nepochs = 'many'", "[train]: epochs = 'many': input should be a valid integer"),
        ("[train.method.schedule]\nnois = 1", "[train.method.schedule]: nois: unknown key; did you mean 'noise'?"),
        ("[model]\nwidths = [64, -1]", "[model.widths]: 1 = -1: input should be greater than or equal to 1"),
        (
            "[model]\ntopology = 'free'\nlayers = [{ conv = 4 }, { conv = 4, kernal = 5 }]",
            "[model.layers.1]: kernal: unknown key; did you mean 'kernel'?",
        ),
        (
            "[model]\ntopology = 'free'\nlayers = [{ conv = 4, pool = 0 }]",
            "[model.layers.0.pool]: 0 = 0: input should be",
        ),
        ("[model]\ntopology = 'cvn'", "[model]: topology = 'cvn': input should be 'tfc', 'sfc', 'lfc', 'cnv', "),
        (
            "[data]\ndataset = 'cifar'",
            "[data]: dataset = 'cifar': must be one of 'arrays', 'audio', 'catdog', 'cifar10', ",
        ),
        ("[data]\ndataset = 'cifar'", "nearest: 'cifar10'"),
        ("[data]\ndataset = 'spoken-digits'\nspeeker = 'x'", "[data]: speeker: unknown key; did you mean 'speaker'?"),
        ("[data]\nspeaker = 'theo'", "[data]: speaker: unknown key; "),
        ("[export]\nframes = 0", "[export]: frames = 0: input should be greater than or equal to 1"),
        ("[simulate]\njobs = 0", "[simulate]: jobs = 0: input should be greater than or equal to 1"),
        ("[target]\nboard = 'pynqz2'", "[target]: board = 'pynqz2': no such board; nearest: 'pynq-z2'"),
        ("[target]\nclock_mhz = -5", "[target]: clock_mhz = -5: input should be greater than 0"),
        ("name = 'No Name'", "name = 'No Name': string should match pattern"),
        ("onnx = 'a.onnx'\n[train]\nepochs = 2", "onnx = 'a.onnx' and ['train'] exclude each other"),
        ("[train", "my_net.toml: not TOML"),
        ("[train]\nbatch_size = 100\ndevices = 3", "my_net.toml: [train]: batch_size = 100 must be a multiple of"),
        ("[train]\nseed = 9223372036854775807", "[train]: seed = 9223372036854775807: input should be less than or"),
        ("[data]\nseed = -1", "[data]: seed = -1: input should be greater than or equal to 0"),
        (
            "[train]\nthreads = 1_000_000_000_000",
            "[train]: threads = 1000000000000: input should be less than or equal",
        ),
        ("[train]\nlearning_rate = inf", "[train]: learning_rate = inf: input should be a finite number"),
        ("[train.distill]\ntemperature = nan", "[train.distill]: temperature = nan: input should be a finite number"),
        (f"name = '{'a' * 300}'", "aaa': string should have at most 64 characters"),
        (f"[train]\nepochs = {'9' * 5000}", "my_net.toml: not TOML: Exceeds the limit (4300 digits)"),
        (f"[train]\nepochs = {'9' * 4000}", "...9999999999999999999: input should be less than or equal to 1000000"),
        ("train = 3", "my_net.toml: train = 3: must be a table, [train] with its keys below"),
        ("[[train]]\nepochs = 3", "train is a list of tables or lists: must be a table, [train] with its keys below"),
        ("[train]\nmethod = [1]", "[train]: method = [1]: must be a table, [train.method] with its keys below"),
        ("[train.method]\nschedule = 3", "[train.method]: schedule = 3: must be a table, [train.method.schedule] with"),
        ("[train.method.schedule.kind]\nx = 1", "[train.method.schedule]: kind is a table: must be one of 'budget', '"),
        ("[train.method.name]\nx = 1", "[train.method]: name is a table: must be one of 'abc-net', 'adiabatic', "),
        ("[train.epochs]\nx = 1", "[train]: epochs is a table: input should be a valid integer"),
        ("[train]\nepochs = [[1]]", "[train]: epochs is a list of tables or lists: input should be a valid integer"),
        ("[model.layers]\nx = 1", "[model]: layers is a table: input should be a list"),
        (
            "[model]\ntopology = 'free'\nlayers = [[1]]",
            "[model.layers]: 0 = [1]: must be a table, [model.layers.0] with",
        ),
        ("[train]\ncrop = [1, 2, 3]", "[train]: crop = [1, 2, 3]: the list should have at most 2 items, not 3"),
        ("[data.dir]\nx = 1", "[data]: dir is a table: input is not a path"),
        (
            f"[train.method.schedule.kind{'.x' * 1000}]",
            "my_net.toml: tables or lists are nested more than 16 levels deep; see /",
        ),
        (
            f"[train]\nepochs = {'[' * 300}{']' * 300}",
            "my_net.toml: tables or lists are nested more than 16 levels deep; see /",
        ),
        (f"[train]\nepochs = {'[' * 90_000}{']' * 90_000}", "my_net.toml: not TOML: nested too deeply; see /"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 400


def test_files_are_beside_the_recipe(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, "checkpoint = 'trained'\n[compile.fold]\nfinn_json = 'folding.json'"))
    assert recipe.checkpoint == tmp_path / "trained"
    assert recipe.compile.fold.finn_json == tmp_path / "folding.json"


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.toml: No such file or directory; give the path of a recipe"):
        load(tmp_path / "no.toml")
    path = tmp_path / "bin.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bin\.toml: not text"):
        load(path)
