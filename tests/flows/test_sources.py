# SPDX-License-Identifier: Apache-2.0
"""A stage is keyed by the sources that it runs: all of them, and no others."""

from __future__ import annotations

import dis
import inspect
import pickle
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adiabit.flows.ladder import StageName
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.flows.sources import PACKAGE, Sources
from adiabit.flows.stages import STAGES
from tests.flows.conftest import Net

Edit = Callable[[str], set[StageName]]
FLOORS = ("train", "hw", "boards", "flows")


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Edit:
    """Which stages are made anew when a line is added to a file of the package; a copy is edited."""
    root = tmp_path_factory.mktemp("package")
    for floor in FLOORS:
        shutil.copytree(PACKAGE / floor, root / floor, ignore=shutil.ignore_patterns("__pycache__"))
    for path in PACKAGE.glob("*.py"):
        shutil.copy(path, root)

    def digests() -> dict[StageName, str]:
        sources = Sources(root)
        return {stage: sources.digest(spec.make, spec.data) for stage, spec in STAGES.items()}

    before = digests()

    def edit(name: str) -> set[StageName]:
        path = root / name
        text = path.read_text()
        path.write_text(f"{text}// a comment\n" if path.suffix != ".py" else f"{text}# a comment\n")
        after = digests()
        path.write_text(text)
        return {stage for stage in StageName if before[stage] != after[stage]}

    return edit


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("hw/rtl/bnn_mvu.sv", {StageName.EMIT, StageName.BITSTREAM}),
        ("hw/hls/bnn_mvu.hpp", {StageName.HLS}),
        ("train/summary.py", set()),
        ("train/methods/adiabatic/schedules.py", {StageName.TRAIN, StageName.EXPORT}),
        ("train/data/mnist.py", {StageName.TRAIN, StageName.EXPORT, StageName.COMPILE}),  # it may load labelled data
        ("flows/report/build.py", set()),
        ("flows/report/report.css", set()),
        ("flows/cli/run.py", set()),
        ("flows/stages.py", set()),
        ("flows/finn/streamline.py", {StageName.COMPILE}),
        ("flows/finn/handover.py", set()),
        ("flows/synthesize/yosys.py", {StageName.SYNTHESIZE}),  # started by its name
        ("flows/bitstream/chip_bench.cpp", {StageName.BITSTREAM, StageName.VERIFIED}),
        ("boards/kv260/board.toml", set()),  # the board itself belongs to the settings
        ("errors.py", set(StageName)),
    ],
)
def test_an_edit_makes_anew_what_runs_it(edited: Edit, name: str, stages: set[StageName]) -> None:
    assert edited(name) == stages


def globals_of(code: types.CodeType) -> Iterator[str]:
    """Every name that a function, or one within it, takes from its module."""
    yield from (i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from globals_of(inner)


@pytest.mark.parametrize("stage", StageName)
def test_a_stage_imports_within_its_text_all_that_it_uses(stage: StageName) -> None:
    make: Any = STAGES[stage].make
    assert set(globals_of(make.__code__)) <= set(dir(__builtins__)) | {"map"}


WATCH = """
import os, pickle, sys
opened = set()
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        opened.add(os.path.realpath(arguments[0]))
name, text, *arguments = pickle.load(sys.stdin.buffer)
space = {}
exec("from __future__ import annotations\\n" + text, space)
sys.addaudithook(watch)
space[name](*arguments)
pickle.dump((sorted(sys.modules), sorted(opened)), open(sys.argv[1], "wb"))
"""


def pipeline(place: Path, text: str) -> Pipeline:
    (place / "tiny.toml").write_text(f"{text}\n[export]\nframes = 8\n[simulate]\nframes = 4\n")
    return Pipeline(load(place / "tiny.toml"), place / "out")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    place = tmp_path_factory.mktemp("foreign")
    Net(1, 4).sign().dense(np.ones((2, 4))).save(place / "net.onnx")
    return pipeline(place, 'onnx = "net.onnx"')


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    text = '[model]\ntopology = "free"\nwidths = [8]\n[train]\nepochs = 1'
    return pipeline(tmp_path_factory.mktemp("trained"), text)


def told(run: Pipeline, text: str) -> SimpleNamespace:
    """What the text of a function reads of a run, and no more, for what is unpickled is imported."""
    recipe = {name: getattr(run.recipe, name) for name in set(re.findall(r"\brecipe\.(\w+)", text))}
    if "export" in recipe:  # its class is the recipe's
        recipe["export"] = SimpleNamespace(**dict(recipe["export"]))
    asked = {name: getattr(run, name) for name in set(re.findall(r"\brun\.(\w+)", text)) - {"recipe"}}
    if "board" in asked:
        asked["board"] = SimpleNamespace(**vars(asked["board"]))
    return SimpleNamespace(**asked, recipe=SimpleNamespace(**recipe))


@pytest.mark.parametrize("stage", [StageName.COMPILE, StageName.EMIT, StageName.HLS, StageName.CSIM])
def test_all_that_a_stage_reads_of_the_package_is_in_its_key(
    foreign: Pipeline, stage: StageName, tmp_path: Path
) -> None:
    check_reads(foreign, stage, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("stage", [StageName.TRAIN, StageName.EXPORT, StageName.SIMULATE])
def test_so_is_all_that_longer_stages_read(trained: Pipeline, stage: StageName, tmp_path: Path) -> None:
    check_reads(trained, stage, tmp_path)


def check_reads(run: Pipeline, stage: StageName, tmp_path: Path) -> None:
    """Its text alone is run, in a process that has imported nothing of ours and tells what it imports and opens."""
    spec = STAGES[stage]
    text = inspect.getsource(spec.make)
    (out := tmp_path / "out").mkdir()
    needed = [run.folder(need) for need in spec.needs if need in run.stages]
    given = pickle.dumps((spec.make.__name__, text, told(run, text), out, *needed))
    subprocess.run([sys.executable, "-c", WATCH, tmp_path / "told"], input=given, check=True)
    modules, opened = pickle.loads((tmp_path / "told").read_bytes())  # noqa: S301  # of our own process
    ours = {name for name in modules if name.startswith("adiabit.")}
    assert ours
    assert ours <= run.sources.closure(spec.make)
    package = [(PACKAGE / floor).resolve() for floor in FLOORS]
    mine = (path for path in map(Path, opened) if any(map(path.is_relative_to, package)))
    read = {path for path in mine if "__pycache__" not in path.parts}  # made of the sources: by Python, by numba
    assert read <= {path.resolve() for path in run.sources.files(spec.make, spec.data)}
