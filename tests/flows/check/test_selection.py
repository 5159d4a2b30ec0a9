# SPDX-License-Identifier: Apache-2.0
"""Patterns stand for recipes, and of these a change in a git repository affects those that it may concern."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from adiabit.errors import UserError
from adiabit.flows import recipe
from adiabit.flows.check import selection
from adiabit.flows.check.changes import changed_files

A, B, C = (Path(f"recipes/{name}.toml") for name in "abc")
REPOSITORY = {
    "recipes/a.toml": 'checkpoint = "../nets/a"\n[budget]\nbaseline = "a.json"\n',
    "recipes/b.toml": '[train.distill]\nteacher = "../nets/b"\n[compile.fold]\nfinn_json = "fold.json"\n',
    "recipes/c.toml": 'onnx = "c.onnx"\n[target]\nverified = "../board.json"\n',
    "recipes/compare_all.toml": "",
    "recipes/a.json": "{}",
    "recipes/fold.json": "{}",
    "recipes/c.onnx": "c",
    "nets/a/model.pt": "a",
    "nets/b/model.pt": "b",
    "board.json": "{}",
    "layers.py": "x = 1\n",
    "README.md": "text\n",
    "pyproject.toml": "",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, which is the current folder."""
    place = tmp_path / "it's é"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "-q", "-b", "main")
    for name, text in REPOSITORY.items():
        put(name, text)
    commit()
    return place


def git(*words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *words], capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def put(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


def commit() -> str:
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    return git("rev-parse", "HEAD")


def changed(ref: str = "HEAD", recipes: tuple[Path, ...] = (A, B, C)) -> tuple[list[Path], str]:
    return selection.changed(recipes, ref, recipe.load)


def test_a_pattern_is_its_recipes(repository: Path) -> None:
    put("recipes/sub/d.toml", "")
    assert selection.expand([Path("recipes/*.toml")]) == [A, B, C]  # no comparison
    assert selection.expand([Path("*/**/[cd].toml")]) == [C, Path("recipes/sub/d.toml")]
    assert selection.expand([C, Path("recipes/*.toml"), Path("digits")]) == [C, A, B, Path("digits")]
    with pytest.raises(UserError, match=r"^recipe/\*.toml: no recipe matches this pattern; give one that does"):
        selection.expand([Path("recipe/*.toml")])
    with pytest.raises(UserError, match="no recipe matches"):
        selection.expand([Path("*.toml")])  # pyproject.toml is none
    put("odd[1].toml", "")
    assert selection.expand([Path("odd[1].toml")]) == [Path("odd[1].toml")]


@pytest.mark.parametrize(
    ("name", "affected"),
    [
        ("recipes/a.toml", [A]),
        ("recipes/a.json", [A]),
        ("nets/a/model.pt", [A]),
        ("nets/b/model.pt", [B]),
        ("recipes/fold.json", [B]),
        ("recipes/c.onnx", [C]),
        ("board.json", [C]),
        ("README.md", []),
        ("recipes/compare_all.toml", []),
        ("layers.py", [A, B, C]),
        ("pyproject.toml", [A, B, C]),
        ("nets/of_none/model.pt", [A, B, C]),
    ],
)
def test_a_change_affects_the_recipes_that_may_depend_on_it(repository: Path, name: str, affected: list[Path]) -> None:
    put(name, REPOSITORY.get(name, "") + "# changed\n" if name.endswith(".toml") else "changed")
    commit()
    assert changed("HEAD~1")[0] == affected
    assert changed("HEAD")[0] == []


def test_a_change_of_several_files_affects_the_recipes_of_each(repository: Path) -> None:
    put("nets/a/model.pt", "new")
    put("recipes/c.toml", 'onnx = "c.onnx"\n')
    put("README.md", "new")
    commit()
    assert changed("HEAD~1") == ([A, C], "2 of 3 recipes are affected by changes since HEAD~1")


def test_the_project_beside_recipes_is_none(repository: Path) -> None:
    put("net.toml", "")
    put("settings.toml", "")
    commit()
    put("settings.toml", "x = 1\n")
    assert changed(recipes=(Path("net.toml"),))[0] == []
    put("pyproject.toml", "x = 1\n")
    assert changed(recipes=(Path("net.toml"),))[0] == [Path("net.toml")]


def test_what_is_not_committed_counts(repository: Path) -> None:
    put("recipes/new.toml", "")
    put("build/a/train.log", "untracked, as everything that a run leaves")
    new = Path("recipes/new.toml")
    assert changed(recipes=(A, new))[0] == [new]
    put("layers.py", "x = 2\n")
    found, why = changed(recipes=(A, new))
    assert found == [A, new]
    assert why == f"{repository}/layers.py: changed since HEAD; all of 2 recipes are checked"


def test_a_deleted_recipe_affects_no_other_and_a_deleted_module_all(repository: Path) -> None:
    Path("recipes/b.toml").unlink()
    Path("recipes/fold.json").unlink()
    commit()
    assert changed("HEAD~1", (A, C))[0] == [A, C]  # nobody names the folding any more
    git("rm", "-q", "recipes/c.toml")
    commit()
    assert changed("HEAD~1", (A,))[0] == []
    git("rm", "-q", "layers.py")
    commit()
    assert changed("HEAD~1", (A,))[0] == [A]


def test_changes_are_those_of_the_branch_alone(repository: Path) -> None:
    git("checkout", "-q", "-b", "branch")
    put("recipes/b.toml", "# new\n")
    commit()
    git("checkout", "-q", "main")
    put("layers.py", "x = 3\n")
    commit()
    git("checkout", "-q", "branch")
    assert changed("main")[0] == [B]


def test_without_the_merge_base_the_commit_itself_is_compared(repository: Path, tmp_path: Path) -> None:
    base = git("rev-parse", "HEAD")
    put("recipes/b.toml", "# new\n")
    commit()
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth=1", f"file://{repository}", str(shallow))
    os.chdir(shallow)
    found, why = changed(base)
    assert found == [A, B, C]
    assert why.startswith("git rev-parse: fatal: ")
    git("fetch", "-q", "--depth=1", "origin", base)
    assert changed(base)[0] == [B]


def test_paths_are_found_from_any_folder(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("recipes/b.toml", "# new\n")
    monkeypatch.chdir("recipes")
    git("config", "diff.relative", "true")
    assert selection.changed((Path("a.toml"), Path("b.toml")), "HEAD", recipe.load)[0] == [Path("b.toml")]
    put("../layers.py", "x = 4\n")
    assert changed_files("HEAD", ()) == [repository / "layers.py", repository / "recipes/b.toml"]


def test_a_recipe_that_cannot_be_read_is_always_checked(repository: Path) -> None:
    put("recipes/b.toml", "unknown = 1\n")
    commit()
    assert changed()[0] == [B]


def test_where_git_cannot_tell_all_are_checked(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert changed("") == ([A, B, C], "no commit to compare with; all of 3 recipes are checked")
    for ref in ("nowhere", "--output=x", "0" * 40):
        found, why = changed(ref)
        assert found == [A, B, C]
        assert why.startswith("git rev-parse: fatal: ")
        assert why.endswith("; all of 3 recipes are checked")
    assert not Path("x").exists()
    monkeypatch.chdir(tmp_path)
    assert changed()[1].startswith("git rev-parse: fatal: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert changed() == ([A, B, C], "git: not found on PATH; all of 3 recipes are checked")
