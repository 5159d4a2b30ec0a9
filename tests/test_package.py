# SPDX-License-Identifier: Apache-2.0
"""The distribution: sdist and wheel hold exactly what belongs there, and run where nothing else of ours is."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import pytest

from adiabit import __version__
from tests.packages import ROOT, Environment, build, checkout, content, tracked

LINKS = ("train", "flows", "hw", "boards", "recipes")  # of src/adiabit
DRIVER = {f"adiabit/boards/pynq/{name}" for name in ("pyproject.toml", "LICENSE")}  # of the driver's own distribution
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Sdist and wheel, built beside what no release may contain."""
    source = checkout(tmp_path_factory.mktemp("source"))
    for litter in ("build/digits/train.pt", "flows/__pycache__/x.pyc", "hw/rtl/sim_build/a.vvp", "train/results.xml"):
        (source / litter).parent.mkdir(parents=True, exist_ok=True)
        (source / litter).write_text("x")
    return build(source, tmp_path_factory.mktemp("dist"))


def wanted() -> dict[str, bytes]:
    """Every tracked file of the package, by its place in the wheel."""
    places = {f"adiabit/{name}": ROOT / name for name in tracked(*LINKS)}
    places |= {name.removeprefix("src/"): ROOT / name for name in tracked("src") if not (ROOT / name).is_symlink()}
    return {name: path.read_bytes() for name, path in places.items() if name not in DRIVER}


def test_the_wheel_holds_the_tracked_files_and_nothing_else(built: tuple[Path, Path]) -> None:
    found = content(built[1])
    assert {name: text for name, text in found.items() if name.startswith("adiabit/")} == wanted()
    others = sorted(name.partition("/")[2] for name in found if not name.startswith("adiabit/"))
    assert others == ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"]


def test_the_sdist_holds_what_the_wheel_is_made_of(built: tuple[Path, Path]) -> None:
    found = content(built[0])
    package = {name.removeprefix("src/"): text for name, text in found.items() if name.startswith("src/")}
    assert package == wanted()
    others = sorted(name for name in found if not name.startswith("src/"))
    assert others == [".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"]


def test_the_links_are_those_that_exist() -> None:
    links = [path for path in (ROOT / "src/adiabit").iterdir() if path.is_symlink()]
    assert {path.name for path in links} == set(LINKS)
    assert all(path.resolve() == ROOT / path.name for path in links)


def _metadata(wheel: Path) -> Message:
    text = next(text for name, text in content(wheel).items() if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(text)


def test_the_package_index_accepts_it(built: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = _metadata(built[1])
    assert told["Version"] == __version__
    assert told["License-Expression"] == "Apache-2.0"
    assert {line.partition(",")[0] for line in told.get_all("Project-URL", [])} == {
        "Homepage", "Documentation", "Changelog", "Issues",
    }  # fmt: skip
    assert told.get_all("Classifier")


def test_the_version_stands_in_one_place_of_the_package() -> None:
    assert "version" not in TABLE
    assert TABLE["dynamic"] == ["version"]
    stated = re.compile(r"""^(__)?version(__)?\s*=\s*["']\d""", re.MULTILINE)
    names = [name for name in tracked("src", *LINKS, "pyproject.toml") if name.endswith((".py", ".toml"))]
    lines = [name for name in names if stated.search((ROOT / name).read_text())]
    assert lines == ["boards/pynq/adiabit_driver/__init__.py", "src/adiabit/__init__.py"]  # of either distribution


def test_what_the_ci_files_install_exists() -> None:
    """The versions and extras that the files for users' repositories name are this package's."""
    texts = {
        name: (ROOT / name).read_text() for name in ("action.yml", "flows/init/github.yml", "flows/init/gitlab.yml")
    }
    extras = {extra for text in texts.values() for extra in re.findall(r"adiabit\[([a-z0-9,]+)\]", text)}
    assert extras == {"all"}
    assert extras <= set(TABLE["optional-dependencies"])
    versions = re.findall(r'(?:adiabit@v|version: "|==)(\d+\.\d+\.\d+)', texts["flows/init/github.yml"])
    versions += re.findall(r"adiabit\[all\]==([\d.]+)", texts["flows/init/gitlab.yml"])
    assert versions == [__version__] * 3


def test_all_is_every_extra_of_a_user() -> None:
    extras = TABLE["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.fullmatch(r"adiabit\[(.*)\]", everything)[1].split(","))  # type: ignore[index]  # it matches
    assert named == set(extras) - {"all", "dev", "docs", "driver-tests"}


def test_without_extras_the_light_verbs_work_and_the_others_say_what_to_install(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    """The dependencies of the package alone lie in an environment, linked from ours."""
    environment = Environment(tmp_path / "env")
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    environment.install("--no-deps", str(built[1]))
    for name in _closure("adiabit"):
        for file in {path.parts[0] for path in metadata.files(name) or () if ".." not in path.parts}:
            place = Path(str(metadata.distribution(name).locate_file(file)))
            if file != "__pycache__" and place.exists() and not (site / file).exists():
                (site / file).symlink_to(place)
    assert "run" in environment.run("adiabit", "--help").stdout
    assert "pynq-z2" in environment.run("adiabit", "boards").stdout
    assert "pip install 'adiabit[train]'" in environment.run("adiabit", "doctor", code=2).stdout
    (line,) = environment.run("adiabit", "run", "digits", code=2).stderr.splitlines()
    assert re.fullmatch(r"adiabit: the Python package '\w+' is missing; install it: pip install 'adiabit\[\w+\]'", line)


def _closure(name: str, extra: str = "") -> set[str]:
    """The distributions that a distribution needs without extras."""
    from packaging.requirements import Requirement

    found, left = set[str](), [name]
    while left:
        for text in metadata.requires(left.pop()) or ():
            needed = Requirement(text)
            if (needed.marker is None or needed.marker.evaluate({"extra": extra})) and needed.name not in found:
                found.add(needed.name)
                left.append(needed.name)
    return found


@pytest.mark.full
@pytest.mark.timeout(3600)  # torch and its libraries are gigabytes
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_installed_with_all_extras_it_runs_where_nothing_else_of_ours_is(
    built: tuple[Path, Path], kind: str, tmp_path: Path
) -> None:
    environment = Environment(tmp_path / "env")
    environment.install(f"{built[kind == 'wheel']}[all]")
    (place := tmp_path / "empty").mkdir()
    done = environment.run("adiabit", "run", "digits", "--set", "train.epochs=2", cwd=place)
    assert done.stdout.splitlines()[-1] == "build/digits/report/report.html"
    assert [path.name for path in place.iterdir()] == ["build"]
    environment.run("adiabit", "doctor")
