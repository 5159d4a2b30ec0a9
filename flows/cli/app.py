# SPDX-License-Identifier: Apache-2.0
"""The application that the verbs register with, and its exit codes."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, Any, get_type_hints

import typer
import typer.core

from adiabit import __version__
from adiabit.errors import UserError
from adiabit.files import CACHES, refused
from adiabit.flows.cli import output
from adiabit.flows.doctor import extra_of
from adiabit.flows.interrupts import guarded
from adiabit.flows.toolchain import ToolError

ORDER = (
    "run", "check", "train", "export", "compile", "emit", "simulate", "synthesize", "report", "bitstream", "package",
    "summary", "explain", "sweep", "pareto", "compare", "init", "clean", "boards", "doctor",
)  # fmt: skip
COMPLETE = "_ADIABIT_COMPLETE"  # set by the shell's completion

QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the path of what was made, and faults.")
]  # fmt: skip
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell the tools' command lines and logs, and why a stage is made.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to stdout, and everything else to stderr.")
]


class _Verbs(typer.core.TyperGroup):
    """Lists the verbs in the order of use rather than of their modules."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs, in `ORDER`."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="adiabit",
    cls=_Verbs,
    help="From a PyTorch network to a bit-exact binary-neural-network accelerator on an FPGA.",
    pretty_exceptions_enable=False,
)


def command(
    name: str = "", text: str = "", signature: inspect.Signature | None = None
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Add a verb: a function of its options that returns the exit code, None for 0.

    It also takes --quiet, --verbose and --json. `signature` is that of its options, by default the function's own.
    """

    def add(function: Callable[..., int | None]) -> Callable[..., None]:
        title = name or function.__name__

        @functools.wraps(function)
        def run(*, quiet: bool, verbose: bool, as_json: bool, **options: Any) -> None:
            output.current().take(quiet=quiet, verbose=verbose, as_json=as_json)
            output.current().open(title)
            raise typer.Exit(function(**options) or 0)

        own = (signature or _signature(function)).parameters.values()
        ours = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=False)
            for key, annotation in (("quiet", QuietOption), ("verbose", VerboseOption), ("as_json", JsonOption))
        ]
        run.__signature__ = inspect.Signature([*own, *ours])  # type: ignore[attr-defined]  # inspect reads it
        run.__annotations__ = {p.name: p.annotation for p in (*own, *ours)}
        del run.__wrapped__
        app.command(title, help=text or function.__doc__)(run)
        return run

    return add


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, its annotations evaluated."""
    hints = get_type_hints(function, include_extras=True)
    found = inspect.signature(function)
    return found.replace(parameters=[p.replace(annotation=hints[p.name]) for p in found.parameters.values()])


def _version(wanted: bool) -> None:
    if wanted:
        output.tell(f"adiabit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001  # its callback has used it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Options before the verb."""
    output.current().take(quiet=quiet, verbose=verbose, as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 130 or 143 if a signal ended it, else the exit code of :func:`invoke`."""
    return guarded(lambda: invoke(argv))


def invoke(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 for success, 1 if a rung differs, 2 for a fault that the user can fix.

    Where the reader of stdout has gone, as in `adiabit run digits | head -1`, it returns 141 as other tools do.
    """
    if not sys.warnoptions:  # warnings of the libraries below us are meant for their developers
        warnings.simplefilter("ignore")
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(CACHES / "torchinductor"))  # torch's default is in /tmp
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 must not end a run
    try:
        return _ended(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # streams of Python's alone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return 128 + signal.SIGPIPE


def _ended(arguments: Sequence[str]) -> int:
    """The exit code of a command, after its document where --json asks for one."""
    made = output.renewed()
    try:
        code, fault = _outcome(arguments)
    finally:
        made.close()
    made.document(code, fault)
    if fault is not None:
        print(f"adiabit: {fault}", file=sys.stderr)
    sys.stdout.flush()  # a closed pipe is found here rather than at the end of the process
    return code


def _outcome(arguments: Sequence[str]) -> tuple[int, str | None]:
    """The exit code of a command, and the fault that ended it, if one did."""
    group = typer.main.get_command(app)
    if COMPLETE in os.environ:
        group.main(args=[*arguments], prog_name="adiabit", complete_var=COMPLETE)
    try:  # not group.main, which treats any EOFError as an interrupt
        with group.make_context("adiabit", [*arguments] or ["--help"]) as context:
            return int(group.invoke(context) or 0), None
    except typer.Exit as end:
        return end.exit_code if arguments else 2, None
    except (UserError, ToolError) as error:
        return 2, str(error)
    except _UsageError as error:
        return 2, f"{' '.join(str(error).split()).rstrip('.')}; see adiabit --help"
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("adiabit"):
            raise
        extra = extra_of(error.name)
        return 2, f"the Python package {error.name!r} is missing; install it: pip install 'adiabit[{extra}]'"
    except SystemExit as end:  # Rich's, which typer prints its help with, at a closed pipe
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    except Exception as error:
        if (reason := refused(error)) is None:
            raise
        return 2, f"{reason}; fix that and run the same command again to resume"


# the base of all usage errors is in typer's own copy of click, in older releases in click itself
_UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
