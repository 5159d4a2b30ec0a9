# SPDX-License-Identifier: Apache-2.0
"""Recipes come with the package: they are run by name from any folder, also from a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import cli, recipe, shipped
from adiabit.flows.cli.verb import Request
from adiabit.flows.compare.plan import load_runs

ROOT = Path(__file__).parents[2]
FLOORS = ("train", "hw", "boards", "flows")


def test_a_name_stands_for_a_recipe_and_its_stages_go_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe.load(Path("digits")) == recipe.load(ROOT / "recipes" / "digits.toml")
    pipeline = Request(Path("digits")).pipeline()
    assert pipeline.out == Path("build/digits")
    assert pipeline.selection == ("digits",)
    assert load_runs(Path("compare_digits"))[0].network == "digits"  # beside the comparison
    (tmp_path / "digits").mkdir()  # as a folder of results may be called
    assert recipe.load(Path("digits")).name == "digits"


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("[train]\nepochs = 7\n")
    assert recipe.load(Path("digits")).train.epochs == 7


def test_an_unknown_name_is_told_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "digit"]) == 2
    assert capsys.readouterr().err == (
        "adiabit: digit: no such file, and no recipe of that name ships with adiabit; nearest: digits, digits_conv, "
        f"spoken_digits; give one of {', '.join(shipped.names())}, or the path of a file\n"
    )
    with pytest.raises(
        UserError, match=r"^digits: no such file, and no comparison of that name .* nearest: compare_dig"
    ):
        load_runs(Path("digits"))
    for path in ("sub/digits", "digits.tml"):  # no bare names
        with pytest.raises(UserError, match=f"^{path}: No such file or directory; give the path of a recipe, or"):
            recipe.load(Path(path))


@pytest.mark.full
def test_a_wheel_runs_by_name_from_an_empty_folder(tmp_path: Path) -> None:
    """What pip builds, unpacked, and nothing else of ours on the path."""
    source = tmp_path / "source"
    for folder in ("src", "recipes", *FLOORS):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        tmp_path,
        source,
    ]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    (empty := tmp_path / "empty").mkdir()

    def python(*words: str) -> str:
        command = [sys.executable, "-P", *words]
        variables = {**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")}
        return subprocess.run(command, cwd=empty, env=variables, capture_output=True, text=True, check=True).stdout

    assert python("-c", "import adiabit; print(adiabit.__file__)").startswith(str(tmp_path / "unpacked"))
    assert "digits: adiabatic" in python("-m", "adiabit", "summary", "digits")
    assert "RECIPE" in python("-m", "adiabit", "run", "--help")
    assert "pynq-z2" in python("-m", "adiabit", "boards")
    python("-m", "adiabit", "init", "--ci", "gitlab")
    assert "adiabit check" in (empty / ".gitlab-ci.yml").read_text()
    told = python("-m", "adiabit", "train", "digits", "--set", "train.epochs=1")
    assert Path(told.splitlines()[-1]).parent == Path("build/digits")
    assert (empty / "build/digits/train/model.pt").is_file()
