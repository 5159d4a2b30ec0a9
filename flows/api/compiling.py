# SPDX-License-Identifier: Apache-2.0
"""`adiabit.compile`: from a network to an accelerator, which simulates, synthesizes and reports itself."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from adiabit import files
from adiabit.errors import UserError
from adiabit.flows.api.exporting import Exported, export
from adiabit.flows.api.results import Report, Simulated, Utilization
from adiabit.flows.api.run import COMMAND, Finished, Settings, continued, integers, labelled, started
from adiabit.flows.api.training import Trained
from adiabit.flows.ladder import Rung, StageName, Vectors
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import Recipe
from adiabit.hw import golden, storage
from adiabit.hw.accelerator import Accelerator as Graph

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import nn

    Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Accelerator(Finished):
    """A compiled, folded accelerator. Frames are integers as the host sends them, (F, *graph.input.shape)."""

    @property
    def folder(self) -> Path:
        """The folder with `accelerator.json`, `params.npz`, `dataflow.onnx` and `vectors.npz`."""
        return self.pipeline.folder(StageName.COMPILE)

    @cached_property
    def graph(self) -> Graph:
        """Its stages and streams."""
        return storage.load(self.folder)

    @cached_property
    def vectors(self) -> Vectors:
        """The frames that every rung runs, their labels and the network's results."""
        return Vectors.load(self.folder)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs of the ladder that were run so far."""
        return tuple(rung for rung in self.figures.rungs if rung.ran)

    @property
    def exact(self) -> bool:
        """Whether all rungs run so far agree, in every integer."""
        return self.figures.agrees

    def predict(self, frames: Any) -> Integers:
        """The class of each frame (F,) by the golden model, which computes what the circuit does."""
        found: Integers = golden.predictions(self.graph, self.outputs(frames))
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers; empty where they have none."""
        return self.graph.legend.names

    def classify(self, frames: Any) -> list[str]:
        """The name of each frame's class, or its number as a word where classes have no names."""
        return [self.classes[label] if self.classes else str(label) for label in self.predict(frames)]

    def outputs(self, frames: Any) -> Integers:
        """What comes out for each frame (F, *graph.output.shape), by the golden model: a label, or accumulators."""
        found: Integers = golden.run(self.graph, self._sent(frames))
        return found

    def simulate(self, frames: Any = None, *, trace: Path | str | None = None) -> Simulated:
        """Run the RTL in Verilator on the saved vectors, or on these frames; every beat must be the golden model's.

        `trace` is a new folder for waveforms. `UserError` where a tool is missing.
        """
        if frames is None and trace is None:
            folder = self.pipeline.folder(StageName.SIMULATE)
            return Simulated.read(folder, self.graph)
        vectors = self._vectors(frames) if frames is not None else self.vectors
        if trace is None:
            with TemporaryDirectory() as place:
                return self._simulated(vectors, Path(place), trace=False)
        with files.new_folder(Path(trace), "give a new folder for waveforms") as place:
            return self._simulated(vectors, place, trace=True)

    def emit_rtl(self, folder: Path | str) -> Path:
        """Write SystemVerilog and memory files into a new folder; `design.json` names the top and the sources."""
        return self._copied(StageName.EMIT, Path(folder))

    def emit_hls(self, folder: Path | str) -> Path:
        """Write HLS C++, its test bench and scripts for Vitis HLS into a new folder."""
        return self._copied(StageName.HLS, Path(folder))

    def estimate(self) -> Utilization:
        """Resources by the fitted model, without a tool; cycles are exact."""
        return Utilization.estimated(self.figures)

    def synthesize(self, board: str | None = None) -> Utilization:
        """Resources by Yosys, before place and route, for this board's part or another's."""
        other = self.on(board) if board else self
        other.pipeline.folder(StageName.SYNTHESIZE)
        return Utilization.synthesized(other.figures)

    def bitstream(self, board: str | None = None) -> Path:
        """The folder with the bitstream, by open tools or Vivado; without Vivado, with the project that it builds."""
        return (self.on(board) if board else self).pipeline.folder(StageName.BITSTREAM)

    def report(self) -> Report:
        """Run all stages, and write the report, one HTML file; the same as `adiabit run`."""
        figures = self.pipeline.report(COMMAND)
        return Report(figures, self.pipeline.out / "report" / "report.html")

    def folded(self, **fold: Any) -> Accelerator:
        """The same network at another folding, by keys of `[compile.fold]`, e.g. `fps=9_000`; none: as fast as fits."""
        return self._changed({"compile.fold": fold})

    def on(self, board: str) -> Accelerator:
        """The same network for another board, at the board's own clock."""
        return self._changed({"target": {"board": board}})

    def _changed(self, settings: Settings) -> Accelerator:
        return _finished(continued(self.pipeline, settings))

    def _sent(self, frames: Any) -> npt.NDArray[Any]:
        """Frames in the shape that the input has."""
        given, shape = integers(frames), self.graph.input.shape
        if given.shape[1:] != shape and int(np.prod(given.shape[1:])) == int(np.prod(shape)):
            given = given.reshape(-1, *shape)
        golden.check_frames(self.graph.input, given)
        return given

    def _vectors(self, frames: Any) -> Vectors:
        """These frames as the simulation takes them; nothing is compared with their labels."""
        sent = self._sent(frames)
        none = np.full(len(sent), -1)
        return Vectors(frames=sent, labels=none, logits=np.zeros((len(sent), 1), np.float32), predictions=none)

    def _simulated(self, vectors: Vectors, folder: Path, *, trace: bool) -> Simulated:
        from adiabit.flows.simulate.stage import simulate

        config = self.recipe.simulate.model_copy(update={"trace": trace, "first": 0, "frames": None})
        simulate(self.folder, self.pipeline.folder(StageName.EMIT), vectors, folder, config)
        return Simulated.read(folder, self.graph)

    def _copied(self, stage: StageName, folder: Path) -> Path:
        made = self.pipeline.folder(stage)
        with files.new_folder(folder, "give a new folder") as place:
            shutil.copytree(made, place, dirs_exist_ok=True)
        return folder

    def __repr__(self) -> str:
        return f"Accelerator({self.recipe.name}: {len(self.graph.stages)} stages, {self.estimate()})"

    def _repr_html_(self) -> str:
        from adiabit.flows.api.notebook import accelerator

        return accelerator(self.figures)


def compile(  # noqa: A001  # as `adiabit compile`; it is called as adiabit.compile
    model: nn.Module | Trained | Exported | Recipe | str | Path, vectors: Any = None, *, fold: Settings | None = None,
    board: str | None = None, clock_mhz: float | None = None, settings: Settings | None = None,
    name: str | None = None, out: Path | str | None = None,
) -> Accelerator:  # fmt: skip
    """Compile a network into an accelerator, and show on every vector that it computes the same.

    `model` is a trained network, a module in memory (see :func:`adiabit.export` for it and its `vectors`), a QONNX
    file, or a recipe, which is trained first. For a QONNX file, `vectors` are optional: frames (F, ...), or a pair of
    them and labels (F,). `fold` are keys of `[compile.fold]`, such as `{"fps": 10_000}`; without any, it is as fast as
    fits into half of the `board`. `settings` are other keys of the recipe, such as `{"compile.input_scale": 1 / 255}`.
    Stages are kept in `out`, by default build/NAME, and reused where nothing has changed. Whether all rungs agree, the
    accelerator's `exact` and `rungs` tell. `UserError` for what cannot be compiled.
    """
    values: dict[str, Any] = dict(settings or {})
    values |= {"compile.fold": dict(fold)} if fold is not None else {}
    values |= {"target.board": board} if board else {}
    values |= {"target.clock_mhz": clock_mhz} if clock_mhz else {}
    return _finished(_pipeline(model, vectors, values, name, out))


def _pipeline(model: Any, vectors: Any, values: Settings, name: str | None, out: Path | str | None) -> Pipeline:
    if isinstance(model, Trained | Exported):
        return continued(model.pipeline, values)
    if not isinstance(model, Recipe | str | Path):
        return continued(export(model, vectors, name=name, out=out).pipeline, values)
    pipeline = started(model, {**values, **({"name": name} if name else {})}, out)
    if vectors is not None:
        if pipeline.recipe.onnx is None:
            raise UserError("vectors: a recipe's own test split is compared; leave them out, or give a QONNX file")
        pipeline.labelled_frames = labelled(vectors)
    return pipeline


def _finished(pipeline: Pipeline) -> Accelerator:
    """The accelerator of a pipeline, compiled."""
    pipeline.folder(StageName.COMPILE)
    return Accelerator(pipeline)
