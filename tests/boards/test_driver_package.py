# SPDX-License-Identifier: Apache-2.0
"""The driver as a distribution of its own: Python 3.8 and numpy suffice."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from adiabit import __version__
from adiabit.boards.pynq import adiabit_driver
from tests.packages import ROOT, Environment, build, checkout, content, tracked

PROJECT = "boards/pynq"
OLDEST = (3, 8)
GENERICS = {"dict", "frozenset", "list", "set", "tuple", "type"}  # no [...] at run time before Python 3.9
SOURCES = [ROOT / name for name in tracked(f"{PROJECT}/adiabit_driver")]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    source = checkout(tmp_path_factory.mktemp("source"))
    return build(source / PROJECT, tmp_path_factory.mktemp("dist"))


def test_it_holds_the_package_alone(built: tuple[Path, Path]) -> None:
    package = {f"adiabit_driver/{path.name}" for path in SOURCES}
    sdist, wheel = (set(content(archive)) for archive in built)
    assert {name for name in wheel if ".dist-info/" not in name} == package
    assert sdist - {".gitignore"} == package | {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert content(built[0])["LICENSE"] == (ROOT / "LICENSE").read_bytes()
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, built)], check=True)


def test_it_has_the_version_of_the_package_and_needs_numpy_alone() -> None:
    assert adiabit_driver.__version__ == __version__
    project = tomllib.loads((ROOT / PROJECT / "pyproject.toml").read_text())["project"]
    assert [line.partition(">")[0] for line in project["dependencies"]] == ["numpy"]
    assert project["requires-python"] == ">=3.8"


def _runtime(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it but annotations, which are not evaluated."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, ast.AST):
                    yield from _runtime(inner)


def newer(text: str, tmp_path: Path) -> list[str]:
    """What a source has that Python 3.8 has not: syntax, generics that are evaluated, and whatever vermin knows."""
    try:
        tree = ast.parse(text, feature_version=OLDEST)
    except SyntaxError as error:
        return [f"{error.lineno}: {error.msg}"]
    found = [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in _runtime(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in GENERICS
    ]
    (path := tmp_path / "source.py").write_text(text)
    options = ["-t=3.8-", "--violations", "--no-tips"]
    command = [sys.executable, "-c", "import vermin; vermin.main()", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Minimum required versions:" in done.stdout
    return found + [line.strip() for line in done.stdout.splitlines() if done.returncode and line.startswith("  ")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_its_source_is_python_3_8(path: Path, tmp_path: Path) -> None:
    assert path.name == "__init__.py" or "from __future__ import annotations" in path.read_text()
    assert newer(path.read_text(), tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        "match 1:\n    case _: pass",  # syntax
        "with (open('a') as a, open('b') as b): pass",
        "found = dict[str, int]()",  # evaluated
        "Pair = tuple[int, int]",
        "pairs = zip([1], [2], strict=True)",  # libraries
        "both = {} | {}",
        "import functools\n@functools.cache\ndef f(): ...",
    ],
)
def test_newer_python_is_found(line: str, tmp_path: Path) -> None:
    assert newer(f"from __future__ import annotations\n{line}\n", tmp_path)


def _interpreters() -> list[str]:
    """Ours, and those of this machine that are older than adiabit itself allows."""
    found = [place for minor in (8, 9) if (place := shutil.which(f"python3.{minor}"))]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += [str(path) for minor in (8, 9) for path in sorted(versions.glob(f"3.{minor}.*/bin/python"))[-1:]]
    works = [place for place in found if subprocess.run([place, "-c", ""], capture_output=True).returncode == 0]
    return [*works, sys.executable]


ROUND_TRIP = """
import sys
import numpy as np
from adiabit_driver import Port
print(sorted({"adiabit", "torch", "pynq", "serial"} & set(sys.modules)))
port = Port({"shape": [6], "bits": 4, "kind": "signed", "lanes": 3, "ratio": 1, "frame_bytes": 8}, 4)
frames, memory = np.arange(-6, 6).reshape(2, 6), np.zeros((2, 8), np.uint8)
port.pack(port.check(frames), memory)
print((port.unpack(memory) == frames).all())
"""


@pytest.mark.parametrize("python", _interpreters())
def test_it_installs_into_an_empty_environment(python: str, built: tuple[Path, Path], tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env", python)
    environment.install(str(built[1]))
    assert "--verify NPZ" in environment.run("adiabit-driver", "--help").stdout
    (line,) = environment.run("adiabit-driver", "none.json", "--port", "x", code=2).stderr.splitlines()
    assert line.startswith("adiabit_driver: none.json: no description of an accelerator")
    assert environment.run("python", "-c", ROUND_TRIP).stdout.split() == ["[]", "True"]
