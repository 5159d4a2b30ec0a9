# SPDX-License-Identifier: Apache-2.0
"""What the shell offers for an unfinished word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows import shipped
from adiabit.flows.cli import completion
from adiabit.flows.recipe import load
from adiabit.train.methods import METHODS


def offered(*words: str, cwd: Path | None = None) -> list[str]:
    """What bash shows at the end of these words."""
    variables = {"_ADIABIT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "adiabit"],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        cwd=cwd,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_verbs_recipes_boards_and_keys(tmp_path: Path) -> None:
    (tmp_path / "digits.toml").touch()
    assert offered("adiabit", "sy") == ["synthesize"]
    assert offered("adiabit", "run", "digi", cwd=tmp_path) == [
        *(n for n in shipped.names() if n.startswith("digi")),
        "digits.toml",
    ]
    assert offered("adiabit", "bitstream", "digits", "--board", "ul") == ["ultra96-v2", "ulx3s-85f"]
    assert offered("adiabit", "run", "digits", "--set", "compile.fold.f") == [
        "compile.fold.finn_json=",
        "compile.fold.fps=",
    ]


def test_values_that_can_be_counted_are_offered() -> None:
    assert completion.settings("target.board=") == [f"target.board={name}" for name in catalog.names()]
    assert completion.settings("simulate.trace=") == ["simulate.trace=false", "simulate.trace=true"]
    assert completion.settings("train.method.name=b")[0] == "train.method.name=bi-real"
    assert len(completion.settings("train.method.name=")) == len(list(METHODS))
    assert completion.settings("train.epochs=") == completion.settings("no.such=") == []


def test_every_key_that_is_offered_is_known() -> None:
    """A recipe may refuse the value or the method that has no such key, but no key is unknown to all."""
    keys = [key for key in completion.settings("") if not key.startswith(("train.method.", "data."))]
    assert len(keys) > 60
    assert [key for key in keys if "unknown key" in _refusal(f"{key}0")] == []


def _refusal(override: str) -> str:
    try:
        load(Path("digits"), [override])
    except UserError as error:
        return str(error)
    return ""


def test_files_and_folders_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    for name in ("net.toml", "net.onnx", "net.txt", ".net.toml", "nets/a.toml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert completion.recipes("ne") == ["net.onnx", "net.toml", "nets/"]
    assert completion.recipes("nets/") == ["nets/a.toml"]
    assert completion.recipes(f"{tmp_path}/nets/") == [f"{tmp_path}/nets/a.toml"]
    assert completion.recipes("none/") == []
    assert set(completion.sweeps("sweep_")) == set(shipped.names(shipped.SWEEP))
    assert set(completion.comparisons("comp")) == set(shipped.names(shipped.COMPARISON))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_script_is_shown(shell: str) -> None:
    variables = os.environ | {"SHELL": f"/bin/{shell}", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "adiabit", "--show-completion", shell],
        capture_output=True,
        text=True,
        env=variables,
        check=True,
    )
    assert "_ADIABIT_COMPLETE" in done.stdout
