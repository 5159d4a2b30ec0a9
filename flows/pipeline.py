# SPDX-License-Identifier: Apache-2.0
"""The pipeline from recipe to report: asking for a stage's folder makes it, after the stages that it needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.ladder import StageName
from adiabit.flows.recipe import Recipe
from adiabit.flows.sources import Sources
from adiabit.flows.stages import STAGES
from adiabit.flows.store import Made, Store, digest_of, file_digest, identity, open_folder, versions
from adiabit.train.data import PLACES, DataTable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from adiabit.flows.report.figures import Figures  # which needs numpy
    from adiabit.train.loop import Watch  # which needs torch

    Labelled = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]  # frames (F, ...) and labels (F,)


@dataclass
class Pipeline:
    """The stages of one recipe, in the folder `out`."""

    recipe: Recipe
    out: Path
    shared: Path | None = None  # the folder of stages that several runs share; `out` then links to them
    tell: Callable[[str], None] = print
    progress: bool = False
    quiet: bool = False  # training prints no lines
    module: nn.Module | None = None  # the network that [model] names, if it exists already
    watch: Watch | None = None  # follows the training, and may end it by an exception
    machine: int = 0  # the number of this machine among those that train together
    meet: str = ""  # HOST:PORT of machine 0
    wait: float = 120.0  # seconds that the machines wait for each other
    fresh: Collection[StageName] = ()  # made again even if they could be reused
    selection: tuple[str, ...] = ("RECIPE",)  # the command line's words for recipe, folders and overrides
    labelled_frames: Labelled | None = None  # for a third party's model, in the place of the recipe's [data]
    made: dict[StageName, Made] = field(default_factory=dict)
    adopted: set[StageName] = field(default_factory=set)  # made from something else than the recipe
    sources: Sources = field(default_factory=Sources)

    @property
    def stages(self) -> tuple[StageName, ...]:
        """The stages of a run.

        A network that is already trained is not trained again, co-simulation needs Vitis HLS, and a bitstream is
        included only where open tools make it in a minute; for other boards it is a separate verb.
        """
        return tuple(stage for stage in StageName if STAGES[stage].wanted(self))

    @property
    def folders(self) -> dict[StageName, Path]:
        """The folders of the stages made so far."""
        return {stage: made.folder for stage, made in self.made.items()}

    def folder(self, stage: StageName) -> Path:
        """The finished folder of a stage, made now if necessary."""
        if stage is StageName.TRAIN and self.recipe.checkpoint is not None:
            return self._checkpoint
        if stage not in self.made:
            self.made[stage] = self._make(stage)
        return self.made[stage].folder

    def adopt(self, stage: StageName, key: Mapping[str, Any], make: Callable[[Path], None]) -> None:
        """Make a stage's folder from something else than the recipe; the stages before it are then not needed."""
        self.made[stage] = self._store.stage(stage, key, make)
        self.adopted.add(stage)

    def join(self) -> None:
        """Take part in a training as machine 1 or later; machine 0 keeps the results."""
        open_folder(self.out)
        spec = STAGES[StageName.TRAIN]
        with TemporaryDirectory(prefix=".join-", dir=self.out) as folder:
            spec.check(self)
            spec.make(self, Path(folder))

    def report(self, command: str) -> Figures:
        """Make every stage and then the report, which names the command line that led to it; the figures."""
        folders = {stage: self.folder(stage) for stage in self.stages}
        if self.recipe.checkpoint is not None:  # for its training's figures
            folders[StageName.TRAIN] = self.folder(StageName.TRAIN)
        from adiabit.flows.report.build import report

        data = self._accuracy_data
        kind: dict[str, Any] = {"image": data.source.shape, "sound": data.sound} if data else {}
        return report(folders, out=self.out / "report", **self.facts(command), **kind)

    def facts(self, command: str) -> dict[str, Any]:
        """What a report shows of a run besides its stages' results."""
        data = self._accuracy_data
        return {
            "name": self.recipe.name,
            "board": self.board,
            "clock_mhz": self.clock_mhz,
            "command": command,
            "data": data.dataset if data else "",
            "selection": self.selection,
        }

    def hand_over(self, folder: Path) -> list[str]:
        """Write the input of FINN's own builder into a new folder; returns what had to be changed for FINN."""
        compiled = self.folder(StageName.COMPILE)
        from adiabit.flows.finn.handover import hand_over

        return hand_over(compiled, self.board, self.clock_mhz, folder)

    def _make(self, stage: StageName) -> Made:
        spec, key, needs = STAGES[stage], self.key(stage), self._needs(stage)

        def make(folder: Path) -> None:
            self.tell(f"{stage}: running")
            spec.check(self)
            spec.make(self, folder, *map(self.folder, needs))

        store, fresh = self._store, stage in self.fresh
        made = store.stage(stage, key, make, resumes=spec.resumes, fresh=fresh)
        self.tell(f"{stage}: {'reused' if made.reused else f'{made.seconds:.1f} s'}  {made.folder}")
        return made

    def key(self, stage: StageName) -> dict[str, Any]:
        """Everything that a stage's folder depends on; makes the stages that it needs."""
        spec = STAGES[stage]
        return {
            **spec.settings(self),
            "from": {need: self._identity(need) for need in self._needs(stage)},
            "source": self.sources.digest(spec.make, spec.data),
            "tools": versions(*spec.tools),
        }

    def _needs(self, stage: StageName) -> list[StageName]:
        """The stages whose folders a stage reads; a third party's model is neither trained nor exported."""
        left_out = () if self.recipe.onnx is None else (StageName.TRAIN, StageName.EXPORT)
        return [need for need in STAGES[stage].needs if need not in left_out]

    def _identity(self, stage: StageName) -> Any:
        """Digests of the files in a stage's folder that other stages read."""
        folder, names = self.folder(stage), STAGES[stage].result
        return [file_digest(folder / name) for name in names] if names else identity(folder)

    @cached_property
    def _store(self) -> Store:
        if self.shared is None:
            return Store(self.out, self.tell)
        open_folder(self.out)
        return Store(self.shared, self.tell, links=self.out)

    @cached_property
    def _checkpoint(self) -> Path:
        from adiabit.train.checkpoint import check_topology

        assert self.recipe.checkpoint is not None  # noqa: S101  # `folder` has checked
        check_topology(self.recipe.checkpoint, self.recipe.model)
        return self.recipe.checkpoint

    # What the stages read from a run.

    @property
    def board(self) -> catalog.Board:
        """The target board."""
        return catalog.load(self.recipe.target.board)

    @property
    def clock_mhz(self) -> float:
        """The accelerator's clock: the recipe's, else the board's own."""
        return self.recipe.target.clock_mhz or self.board.clock_mhz

    @property
    def model(self) -> Path:
        """The QONNX model: the recipe's, else the exported one."""
        return self.recipe.onnx or self.folder(StageName.EXPORT) / "model.onnx"

    @property
    def labelled(self) -> bool:
        """Whether the recipe names labelled data for a third party's model."""
        given = self.labelled_frames is not None or "data" in self.recipe.model_fields_set
        return self.recipe.onnx is not None and given

    @property
    def trains(self) -> bool:
        """Whether the network comes from a training of this run."""
        trained = self.recipe.onnx or self.recipe.checkpoint or StageName.EXPORT in self.adopted
        return not trained

    @property
    def _accuracy_data(self) -> DataTable | None:
        """The data set that the accuracy is measured on; None where frames were handed over, or there are no labels."""
        named = self.trains or self.recipe.checkpoint or (self.labelled and self.labelled_frames is None)
        return self.recipe.data if named else None

    @property
    def verified(self) -> Path:
        """The file that the driver saved on a board; `UserError` if the recipe names none."""
        if self.recipe.target.verified is None:
            raise UserError("target.verified: missing; give the file that the driver's --save wrote on the board")
        return self.recipe.target.verified

    @cached_property
    def data_digest(self) -> str:
        """A digest of the data set's files, or of the frames in their place."""
        if self.labelled_frames is not None:
            return digest_of(*self.labelled_frames)
        from adiabit.train.data import digest

        return digest(self.recipe.data)

    @cached_property
    def module_digest(self) -> str:
        """A digest of the sources of a module of one's own; empty for a topology of ours."""
        if self.module is not None:
            from adiabit.train.task import digest_of

            return digest_of(self.module)
        from adiabit.train.source import digest

        return digest(self.recipe.model)

    def tables(self, *names: str) -> dict[str, Any]:
        """Tables of the recipe as they enter keys: without what changes no result.

        That is the folders of the data set and of a module, whose contents have digests, and the number of processes
        that simulate.
        """
        recipe = self.recipe.model_copy(update={"model": self.recipe.model.portable})
        document = recipe.model_dump(mode="json", include=set(names))
        for table, key in (*(("data", place) for place in PLACES), ("simulate", "jobs")):
            document.get(table, {}).pop(key, None)
        return document
