# SPDX-License-Identifier: Apache-2.0
"""The table of stages: what each stage needs, the function that makes its folder, and what keys that folder.

A stage's function takes the run, the folder to write into, and the folders of the stages it needs. It does all its
imports in its own body, for two reasons: a run that reuses everything imports nothing heavy, and
:mod:`adiabit.flows.sources` keys the folder by exactly what the function imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adiabit.boards import catalog
from adiabit.flows.bitstream import open_tools, project
from adiabit.flows.bitstream.families import FAMILIES
from adiabit.flows.ladder import StageName
from adiabit.flows.simulate import cosim
from adiabit.flows.store import file_digest, folder_digest, versions

if TYPE_CHECKING:
    from adiabit.flows.pipeline import Pipeline

Settings = dict[str, Any]
MODEL = ("model.json", "model.pt")  # the only files of a training that later stages read


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """How a stage is made, and what keys its folder: settings, input folders, sources and tools."""

    make: Callable[..., None]  # (run, folder, *folders of the stages it needs)
    needs: tuple[StageName, ...] = ()  # the stages whose folders it reads, as far as the recipe has them
    settings: Callable[[Pipeline], Settings] = lambda _: {}
    tools: tuple[str, ...] = ()  # distributions whose versions are part of the key
    data: tuple[str, ...] = ()  # folders of the package that it reads, besides the files next to its modules
    wanted: Callable[[Pipeline], bool] = lambda _: True  # whether `run` makes it
    check: Callable[[Pipeline], None] = lambda _: None  # fails early where the work would be in vain
    result: tuple[str, ...] = ()  # the files that other stages read; if empty, all files except logs
    resumes: bool = False  # continues in the folder of an interrupted run


def _train(run: Pipeline, folder: Path) -> None:
    from adiabit.train.loop import fit
    from adiabit.train.rendezvous import Rendezvous

    recipe, rendezvous = run.recipe, Rendezvous(machine=run.machine, place=run.meet, wait=run.wait)
    fit(
        recipe.data, recipe.model, recipe.train, folder, progress=run.progress, quiet=run.quiet, watch=run.watch,
        rendezvous=rendezvous, module=run.module,
    )  # fmt: skip


def _check_network(run: Pipeline) -> None:
    """Refuse a module that cannot be compiled, and an impossible folding, before training rather than after it."""
    from adiabit.flows.finn.folding import folded
    from adiabit.flows.untrained import accelerator
    from adiabit.train.models import replacements

    recipe = run.recipe
    if (replaced := replacements(recipe.model, recipe.data.source, run.module)) is not None and not run.quiet:
        run.tell(str(replaced))
    if not recipe.why_not:
        folded(accelerator(recipe, run.module), recipe.compile.fold, run.board, run.clock_mhz)


def _train_settings(run: Pipeline) -> Settings:
    teacher = run.recipe.train.distill.teacher if run.recipe.train.distill else None
    return {
        **run.tables("data", "model", "train"),
        "module": run.module_digest,
        "data_digest": run.data_digest,
        "teacher": file_digest(teacher / "model.pt") if teacher else None,
    }


def _export(run: Pipeline, folder: Path, trained: Path) -> None:
    from adiabit.flows.export import export

    recipe = run.recipe
    export(trained, recipe.data, folder, recipe.export.frames, recipe.model, run.module)


def _compile(run: Pipeline, folder: Path, exported: Path | None = None) -> None:
    from adiabit import legend as legends
    from adiabit.flows.finn.stage import compile_model
    from adiabit.flows.ladder import Vectors

    test, legend = run.labelled_frames, legends.load(exported) if exported else legends.NO_LEGEND
    if run.labelled and test is None:
        from adiabit.train.data import load_test

        legend = run.recipe.data.legend
        split = load_test(run.recipe.data).spread(run.recipe.export.frames)
        test = split.frames, split.labels
    vectors = Vectors.load(exported) if exported else None
    compile_model(
        run.model, vectors, folder, run.recipe.compile, board=run.board, clock_mhz=run.clock_mhz, test=test,
        legend=legend,
    )  # fmt: skip


def _compile_settings(run: Pipeline) -> Settings:
    from adiabit.flows.frontend.model_file import digest

    fold = run.recipe.compile.fold
    return {
        **run.tables("compile", *(["data", "export"] if run.labelled else [])),
        "model": digest(run.model) if run.recipe.onnx else None,  # otherwise the export stage's folder is in the key
        "folding": file_digest(fold.finn_json) if fold.finn_json else None,
        "board": run.board if fold.free else None,
        "clock_mhz": run.clock_mhz,
        "test": run.data_digest if run.labelled else None,
    }


def _emit(_: Pipeline, folder: Path, compiled: Path) -> None:
    from adiabit.hw import storage
    from adiabit.hw.emit import rtl as emit_rtl

    emit_rtl.emit(storage.load(compiled), folder)


def _hls(run: Pipeline, folder: Path, compiled: Path) -> None:
    from adiabit.flows.ladder import Vectors
    from adiabit.flows.simulate.share import share_vectors
    from adiabit.hw import storage
    from adiabit.hw.emit import hls as emit_hls

    accelerator = storage.load(compiled)
    emit_hls.emit(accelerator, folder, part=run.board.part, clock_mhz=run.clock_mhz)
    share_vectors(accelerator, Vectors.load(compiled), folder)


def _csim(run: Pipeline, folder: Path, compiled: Path, hls: Path) -> None:
    from adiabit.flows.ladder import Vectors
    from adiabit.flows.simulate.csim import simulate_c

    simulate_c(compiled, hls, Vectors.load(compiled), folder, run.recipe.simulate)


def _simulate(run: Pipeline, folder: Path, compiled: Path, rtl: Path) -> None:
    from adiabit.flows.ladder import Vectors
    from adiabit.flows.simulate.stage import simulate

    simulate(compiled, rtl, Vectors.load(compiled), folder, run.recipe.simulate)


def _cosim(run: Pipeline, folder: Path, compiled: Path, hls: Path) -> None:
    from adiabit.flows.ladder import Vectors
    from adiabit.flows.simulate.cosim import cosimulate

    cosimulate(compiled, hls, Vectors.load(compiled), folder, run.recipe.simulate)


def _synthesize(run: Pipeline, folder: Path, rtl: Path) -> None:
    from adiabit.flows.synthesize.stage import synthesize

    synthesize(rtl, run.board, folder, folder.parent / "mapped")


def _bitstream(run: Pipeline, folder: Path, compiled: Path) -> None:
    from adiabit.flows.bitstream import open_tools, project
    from adiabit.flows.ladder import Vectors
    from adiabit.hw import storage

    build = open_tools.build if run.board.shell == "uart" else project.build
    build(storage.load(compiled), Vectors.load(compiled), run.board, run.clock_mhz, run.recipe.name, folder, run.tell)


def _bitstream_settings(run: Pipeline) -> Settings:
    family = FAMILIES.get(run.board.family)
    return {
        "name": run.recipe.name,
        "board": run.board,
        "pins": folder_digest(catalog.FOLDER / run.board.name),
        "clock_mhz": run.clock_mhz,
        "vivado": str(project.tool()) if run.board.shell != "uart" else None,
        "place and route": versions("pyosys", *family.packages) if family else None,
    }


def _verified(run: Pipeline, folder: Path, compiled: Path) -> None:
    from adiabit.flows.bitstream.verified import take_in
    from adiabit.hw import storage

    take_in(run.verified, storage.load(compiled), folder)


STAGES: Mapping[StageName, StageSpec] = {
    StageName.TRAIN: StageSpec(
        make=_train, settings=_train_settings, tools=("torch", "brevitas", "lightning"), check=_check_network,
        wanted=lambda run: run.trains, result=MODEL, resumes=True,
    ),
    StageName.EXPORT: StageSpec(
        make=_export, needs=(StageName.TRAIN,), tools=("torch", "brevitas", "qonnx", "onnx", "onnxruntime"),
        settings=lambda run: {
            **run.tables("data", "export"), "module": run.module_digest, "data_digest": run.data_digest
        },
        wanted=lambda run: run.recipe.onnx is None,
    ),
    StageName.COMPILE: StageSpec(
        make=_compile, needs=(StageName.EXPORT,), settings=_compile_settings, tools=("finn-plus", "qonnx", "onnx"),
    ),
    StageName.EMIT: StageSpec(make=_emit, needs=(StageName.COMPILE,), data=("hw/rtl",)),
    StageName.HLS: StageSpec(
        make=_hls, needs=(StageName.COMPILE,), data=("hw/hls",),
        settings=lambda run: {"part": run.board.part, "clock_mhz": run.clock_mhz},
    ),
    StageName.CSIM: StageSpec(
        make=_csim, needs=(StageName.COMPILE, StageName.HLS), settings=lambda run: run.tables("simulate"),
        data=("hw/hls/sim",), tools=("hls4ml",),
    ),
    StageName.SIMULATE: StageSpec(
        make=_simulate, needs=(StageName.COMPILE, StageName.EMIT), settings=lambda run: run.tables("simulate"),
        tools=("verilator",),
    ),
    StageName.SYNTHESIZE: StageSpec(
        make=_synthesize, needs=(StageName.EMIT,), settings=lambda run: {"board": run.board}, tools=("pyosys",),
    ),
    StageName.COSIM: StageSpec(
        make=_cosim, needs=(StageName.COMPILE, StageName.HLS), tools=("verilator",),
        settings=lambda run: {**run.tables("simulate"), "vitis": str(cosim.tool())},
        wanted=lambda _: cosim.tool() is not None,
    ),
    StageName.BITSTREAM: StageSpec(
        make=_bitstream, needs=(StageName.COMPILE,), settings=_bitstream_settings, data=("hw/rtl",),
        wanted=lambda run: open_tools.available(run.board),
    ),
    StageName.VERIFIED: StageSpec(
        make=_verified, needs=(StageName.COMPILE,), settings=lambda run: {"file": file_digest(run.verified)},
        wanted=lambda run: run.recipe.target.verified is not None,
    ),
}  # fmt: skip
