# SPDX-License-Identifier: Apache-2.0
"""The common part of all verbs that take a recipe: their options, their pipeline, and their final output."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from adiabit.errors import UserError
from adiabit.flows.cli import completion, output
from adiabit.flows.cli.app import command
from adiabit.flows.ladder import StageName
from adiabit.flows.pipeline import Pipeline
from adiabit.flows.recipe import load

P = ParamSpec("P")
RecipeArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe: a file, or the name of a shipped one, e.g. digits. Or a QONNX model (.onnx).",
        autocompletion=completion.recipes,
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the stages; build/NAME by default.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the data set; overrides ADIABIT_DATA.")]
CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="Folder of a trained network, to use instead of training one.")
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the recipe, e.g. train.epochs=20.",
        autocompletion=completion.settings,
    ),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Make the stage again even if it could be reused.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Number of runs in parallel on this machine.")]
RayOption = Annotated[
    str, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster to run on: HOST:PORT, or auto.")
]
BoardOption = Annotated[
    str | None,
    typer.Option("--board", help="The board; the recipe's by default.", autocompletion=completion.boards),
]
VerifiedOption = Annotated[
    Path | None,
    typer.Option("--verified", help="The file that the driver's --save wrote on a board; adds the board's rung."),
]


@dataclass(frozen=True)
class Request:
    """The options that all verbs with a recipe share."""

    recipe: RecipeArgument
    out: OutOption = None
    data: DataOption = None
    checkpoint: CheckpointOption = None
    sets: SetOption = ()  # type: ignore[assignment]  # typer reads it, nobody changes it

    def pipeline(self, fresh: Collection[StageName] = (), board: str | None = None, verified: Path | None = None,
                 **simulate: Any) -> Pipeline:  # fmt: skip
        """The pipeline of the recipe with these overrides; `simulate` overrides keys of `[simulate]`."""
        places = {"data.dir": self.data, "checkpoint": self.checkpoint, "target.verified": verified}
        values: dict[str, Any] = {key: str(path.absolute()) for key, path in places.items() if path}
        values |= {"target.board": board} if board else {}
        values |= {f"simulate.{key}": value for key, value in simulate.items()}
        recipe = load(self.recipe, self.sets, values)
        out = self.out or Path("build") / recipe.name
        quiet = output.current().quiet
        return Pipeline(
            recipe, out, tell=output.tell, progress=sys.stdout.isatty() and not quiet, quiet=quiet, fresh=fresh,
            selection=self.words(),
        )  # fmt: skip

    def words(self) -> tuple[str, ...]:
        """The command line's words for this request."""
        places = {"--out": self.out, "--data": self.data, "--checkpoint": self.checkpoint}
        given = [(option, str(place)) for option, place in places.items() if place]
        given += [("--set", override) for override in self.sets]
        return (str(self.recipe), *(word for option in given for word in option))


def verb(name: str, text: str = "") -> Callable[[Callable[Concatenate[Request, P], int]], Callable[..., None]]:
    """Add a verb to the command line: a function of a `Request` and its own options that returns the exit code."""

    def add(function: Callable[Concatenate[Request, P], int]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in list(inspect.signature(function).parameters.values())[1:]]
        shared = _shared()

        def with_request(**options: Any) -> int:
            request = Request(**{p.name: options.pop(p.name) for p in shared})
            return function(request, **options)  # type: ignore[call-arg]  # the rest are its own

        return command(name, text or function.__doc__ or "", inspect.Signature([*shared, *own]))(with_request)

    return add


def _shared() -> list[inspect.Parameter]:
    """The fields of `Request` as parameters of a function."""
    hints = get_type_hints(Request, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=hints[field.name],
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
        )
        for field in dataclasses.fields(Request)
    ]  # fmt: skip


def finish(pipeline: Pipeline, stage: StageName) -> int:
    """Make a stage, print its result and its folder; returns 1 if a rung up to it differs, else 0."""
    if stage in (StageName.TRAIN, StageName.EXPORT) and stage not in pipeline.stages:
        raise UserError(
            f"{pipeline.selection[0]}: its network is already trained, so there is nothing to {stage}; run compile"
        )
    folder = pipeline.folder(stage)
    code = show_outcome(pipeline)
    output.made(folder)
    return code


def finish_one(request: Request, stage: StageName, *, fresh: bool) -> int:
    """:func:`finish` a stage of the request, made again if `fresh`."""
    return finish(request.pipeline([stage] if fresh else ()), stage)


def show_outcome(pipeline: Pipeline) -> int:
    """Print the results of the stages made so far; returns 1 if a rung differs, else 0."""
    from adiabit.flows.report.collect import collect
    from adiabit.flows.report.terminal import outcome

    figures = collect(pipeline.folders, **pipeline.facts(command_line()))
    for part in outcome(figures):
        output.show(part, always=not figures.agrees)
    output.give(figures.document())
    return int(not figures.agrees)


def command_line() -> str:
    """The command line of this process."""
    return shlex.join(["adiabit", *sys.argv[1:]])
