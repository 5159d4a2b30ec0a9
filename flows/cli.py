# SPDX-License-Identifier: Apache-2.0
"""The command line: a verb a stage. Every verb takes a recipe and makes what its stage needs first."""

from __future__ import annotations

import errno
import logging
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adiabit import __version__
from adiabit.errors import UserError
from adiabit.flows.ladder import load_rungs
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load
from adiabit.flows.toolchain import ToolError

app = typer.Typer(
    name="adiabit",
    help="From a PyTorch network to a bit-exact binary-neural-network accelerator on an FPGA.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
INTERRUPTED = 130  # as shells tell a SIGINT
console = Console(width=None if sys.stdout.isatty() else 120)  # a log has no width of its own

RecipeArgument = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A recipe, e.g. recipes/digits.toml, or a bare QONNX model (.onnx).")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the stages; build/NAME by default.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the data set; before ADIABIT_DATA.")]
CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="Folder of a trained network; nothing is trained then.")
]
SetOption = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override, e.g. train.epochs=20.")]
VerifiedOption = Annotated[
    Path | None, typer.Option("--verified", help="What the driver's --save wrote on the board; the ladder's last rung.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Make this stage anew although it could be reused.")]


def _pipeline(
    recipe: Path, out: Path | None, data: Path | None, checkpoint: Path | None, sets: Sequence[str], fresh: str = "",
    verified: Path | None = None,
) -> Pipeline:  # fmt: skip
    places = {"data.dir": data, "checkpoint": checkpoint, "target.verified": verified}
    loaded = load(recipe, [*sets, *(f"{key}='{path.absolute()}'" for key, path in places.items() if path)])
    folder = out or Path("build") / loaded.name
    return Pipeline(loaded, folder, tell=_tell, progress=sys.stdout.isatty(), fresh=fresh)


def _tell(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _finish(pipeline: Pipeline, stage: str, recipe: Path) -> None:
    if stage in ("train", "export") and stage not in pipeline.stages:
        raise UserError(f"{recipe}: its network was trained before, so there is nothing to {stage}; run compile")
    _tell(str(pipeline.folder(stage)))


def _verb(stage: str, text: str) -> None:
    """Add the verb of one stage to the command line."""

    def command(
        recipe: RecipeArgument,
        out: OutOption = None,
        data: DataOption = None,
        checkpoint: CheckpointOption = None,
        sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
        fresh: FreshOption = False,
    ) -> None:
        _finish(_pipeline(recipe, out, data, checkpoint, sets, stage if fresh else ""), stage, recipe)

    app.command(stage, help=text)(command)


@app.command()
def train(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
    meet: Annotated[
        str, typer.Option("--meet", metavar="HOST:PORT", help="Machine 0, where those of train.machines meet.")
    ] = "",
    machine: Annotated[int, typer.Option("--machine", help="Which of them this is; 0 keeps the results.")] = 0,
    wait: Annotated[float, typer.Option("--wait", help="Seconds that the machines wait for each other.")] = 120,
) -> None:
    """Train the network to binary weights and activations."""
    pipeline = _pipeline(recipe, out, data, checkpoint, sets, "train" if fresh else "")
    pipeline.meet, pipeline.machine, pipeline.wait = meet, machine, wait
    if machine:
        pipeline.join()
        _tell(f"machine {machine} of {pipeline.recipe.train.machines}: done; the results are on machine 0")
    else:
        _finish(pipeline, "train", recipe)


_verb("export", "Export the trained network to QONNX and save the vectors of the ladder.")


@app.command("compile")
def compile_(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
    for_finn: Annotated[
        Path | None, typer.Option("--for-finn", metavar="DIR", help="Write what FINN's own builder goes on with.")
    ] = None,
) -> None:
    """Compile the QONNX model with FINN and fold it for the target."""
    pipeline = _pipeline(recipe, out, data, checkpoint, sets, "compile" if fresh else "")
    _finish(pipeline, "compile", recipe)
    if for_finn is not None:
        for line in pipeline.hand_over(for_finn):
            _tell(f"for FINN, {line}")
        _tell(str(for_finn))


@app.command()
def emit(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
    backend: Annotated[Literal["rtl", "hls"], typer.Option(help="SystemVerilog, or dataflow HLS C++.")] = "rtl",
) -> None:
    """Write the accelerator as SystemVerilog, or as dataflow HLS C++."""
    stage = "hls" if backend == "hls" else "emit"
    _finish(_pipeline(recipe, out, data, checkpoint, sets, stage if fresh else ""), stage, recipe)


SIMULATIONS = {"rtl": "simulate", "hls": "csim", "cosim": "cosim"}  # stage by back end


@app.command()
def simulate(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
    frames: Annotated[str, typer.Option("--frames", metavar="FIRST:END", help="Only these frames.")] = "",
    trace: Annotated[bool, typer.Option("--trace", help="Write the waveforms of these frames.")] = False,
    backend: Annotated[
        Literal["rtl", "hls", "cosim"],
        typer.Option(help="Our RTL in Verilator, the HLS C++ as a program, or the RTL that Vitis HLS makes of it."),
    ] = "rtl",
) -> None:
    """Run the accelerator on the saved vectors and compare every stream with the golden model."""
    if frames:
        first, _, end = frames.partition(":")
        if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
            raise UserError(f"--frames {frames!r}: must read FIRST:END with FIRST < END, e.g. --frames 17:18")
        sets = [*sets, f"simulate.first={first}", f"simulate.frames={int(end) - int(first)}"]
    if trace:
        sets = [*sets, "simulate.trace=true"]
    stage = SIMULATIONS[backend]
    _finish(_pipeline(recipe, out, data, checkpoint, sets, stage if fresh else ""), stage, recipe)


_verb("synthesize", "Synthesize the RTL with Yosys for the target's part.")


def _report(pipeline: Pipeline) -> int:
    from adiabit.flows.report.build import report, tables

    folders = {stage: pipeline.folder(stage) for stage in pipeline.stages}
    if pipeline.recipe.checkpoint is not None:  # what it tells of its training
        folders["train"] = pipeline.train
    place = pipeline.out / "report"
    figures = report(
        folders,
        name=pipeline.recipe.name,
        board=pipeline.board,
        clock_mhz=pipeline.clock_mhz,
        command=shlex.join(["adiabit", *sys.argv[1:]]),
        out=place,
    )
    for table in tables(figures):
        console.print(table)
    _tell(str(place / "report.html"))
    return 0 if figures.agrees else 1


@app.command()
def report(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    verified: VerifiedOption = None,
) -> None:
    """Make the report; the same as `run`, whose stages it reuses."""
    raise typer.Exit(_report(_pipeline(recipe, out, data, checkpoint, sets, verified=verified)))


@app.command()
def run(
    recipe: RecipeArgument,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
    verified: VerifiedOption = None,
) -> None:
    """Go the whole way: train, export, compile, emit, simulate, synthesize, report. Exit code 1: a rung differs."""
    raise typer.Exit(_report(_pipeline(recipe, out, data, checkpoint, sets, "all" if fresh else "", verified)))


BoardOption = Annotated[str | None, typer.Option("--board", help="The board; the recipe's by default.")]


def _with_board(sets: Sequence[str], board: str | None) -> list[str]:
    return [*sets, *([f"target.board={board}"] if board else [])]


@app.command()
def bitstream(
    recipe: RecipeArgument,
    board: BoardOption = None,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    fresh: FreshOption = False,
) -> None:
    """Make the bitstream of a board, with open tools or with Vivado; without Vivado, the project that it builds."""
    from adiabit.flows.bitstream import project

    pipeline = _pipeline(recipe, out, data, checkpoint, _with_board(sets, board), "bitstream" if fresh else "")
    folder = pipeline.bitstream
    if pipeline.board.shell != "uart" and project.tool() is None:
        _tell(f"Vivado is not on PATH; on a machine that has it: cd {folder} && vivado -mode batch -source build.tcl")
    rungs = load_rungs(folder)
    for rung in rungs:
        _tell(f"{rung.name}: {rung.equal} of {rung.frames} frames equal {rung.difference}".rstrip())
    _tell(str(folder))
    raise typer.Exit(int(any(rung.status == "DIFFERS" for rung in rungs)))


@app.command()
def package(
    recipe: RecipeArgument,
    board: BoardOption = None,
    out: OutOption = None,
    data: DataOption = None,
    checkpoint: CheckpointOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    bit: Annotated[
        Path | None, typer.Option("--bit", help="The bitstream, built elsewhere; its .hwh lies beside it.")
    ] = None,
) -> None:
    """Make the archive that goes onto a PYNQ board: bitstream, driver, vectors, notebook."""
    from adiabit.flows.bitstream.package import package as archive

    pipeline = _pipeline(recipe, out, data, checkpoint, _with_board(sets, board))
    if pipeline.board.shell == "uart":
        raise UserError(
            f"{pipeline.board.name}: has no PYNQ; `adiabit bitstream` leaves all that it needs in one folder"
        )
    place = pipeline.out / f"{pipeline.recipe.name}-{pipeline.board.name}.zip"
    archive(pipeline.bitstream, pipeline.recipe.name, bit, place)
    _tell(str(place))


@app.command()
def summary(
    recipe: RecipeArgument,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
) -> None:
    """Print a network layer by layer: parameters of one bit and others, memory, operations a frame."""
    from adiabit.flows.summary import table

    console.print(table(load(recipe, sets)))


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A comparison, e.g. recipes/compare_digits.toml.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the trainings; build/FILE by default.")] = None,
    data: DataOption = None,
    sets: SetOption = [],  # noqa: B006  # typer reads it, nobody changes it
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Trainings at a time.")] = 1,
    report_only: Annotated[bool, typer.Option("--report", help="Train nothing; tell what is finished.")] = False,
) -> None:
    """Train methods x networks x seeds and put them into one table; interrupted, it goes on where it was."""
    from adiabit.flows.compare import plan, run, table
    from adiabit.flows.report.tables import rich_table

    runs = plan.load_runs(file, data, sets)
    place = out or Path("build") / file.stem
    command = shlex.join(["adiabit", *sys.argv[1:]])

    def write() -> None:
        table.write(runs, place, file.stem, command)

    if not report_only:
        run.train(runs, place, jobs, _tell, write)
    write()
    made = table.rows(runs, place)
    for network in dict.fromkeys(row.network for row in made):
        console.print(rich_table(table.table(network, made)))
    _tell(str(place / "compare.html"))


@app.command()
def boards() -> None:
    """List the boards, and what building for each needs."""
    from adiabit.boards import catalog
    from adiabit.flows.bitstream import project
    from adiabit.flows.bitstream.families import FAMILIES

    table = Table("board", "title", "part", "LUT", "BRAM18", "MHz", "needs")
    vivado = "Vivado (found)" if project.tool() else "Vivado (not on PATH)"
    for name in catalog.names():
        board = catalog.load(name)
        family = FAMILIES.get(board.family)
        needs = vivado if family is None else f"open tools: {family.install}"
        size = (f"{board.luts:,}", f"{board.bram18:,}", f"{board.clock_mhz:g}")
        table.add_row(name, board.title, board.part, *size, escape(needs))
    console.print(table)


@app.command()
def doctor() -> None:
    """Print each tool and library that a stage needs, its version, and how to install what is missing."""
    from adiabit.flows import doctor as physician

    checks = physician.diagnose()
    console.print(physician.render(checks))
    missing = [check for check in checks if check.missing]
    raise typer.Exit(2 if missing else 0)


def _version(wanted: bool) -> None:
    if wanted:
        _tell(f"adiabit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options before the verb."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 a rung of the ladder differs, 2 a fault that the user can mend, 130 interrupted."""
    if not sys.warnoptions:  # what the libraries below us would like their developers to know
        warnings.simplefilter("ignore")
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    command = typer.main.get_command(app)
    try:
        code = command.main(args=list(argv) if argv is not None else None, prog_name="adiabit", standalone_mode=False)
        return _interrupted() if code == INTERRUPTED else int(code or 0)
    except (UserError, ToolError) as error:
        return _fault(str(error))
    except _UsageError as error:
        return _fault(f"{' '.join(str(error).split()).rstrip('.')}; see adiabit --help")
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("adiabit"):
            raise
        return _fault(f"the Python package {error.name!r} is missing; install it: pip install 'adiabit[all]'")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        return _fault(
            f"{error.filename or 'output'}: {error.strerror}; mend that and run the same command again, it resumes"
        )


# typer's own copy of click's base of all usage errors; older releases use click itself
_UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _fault(message: str) -> int:
    print(f"adiabit: {message}", file=sys.stderr)
    return 2


def _interrupted() -> int:
    print("adiabit: interrupted; run the same command again, it resumes", file=sys.stderr)
    return INTERRUPTED
