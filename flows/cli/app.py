# SPDX-License-Identifier: Apache-2.0
"""The application that the verbs register with, and its exit codes."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from rich.console import Console

from adiabit import __version__
from adiabit.errors import UserError
from adiabit.files import refused
from adiabit.flows.interrupts import guarded
from adiabit.flows.toolchain import ToolError

ORDER = (
    "run", "check", "train", "export", "compile", "emit", "simulate", "synthesize", "report", "bitstream", "package",
    "summary", "explain", "sweep", "pareto", "compare", "init", "boards", "doctor",
)  # fmt: skip


class _Verbs(typer.core.TyperGroup):
    """Lists the verbs in the order of use rather than of their modules."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs, in `ORDER`."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="adiabit",
    cls=_Verbs,
    help="From a PyTorch network to a bit-exact binary-neural-network accelerator on an FPGA.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(width=None if sys.stdout.isatty() else 120)  # a log has no width of its own


def tell(line: str) -> None:
    """Print a line verbatim."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        tell(f"adiabit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the verb."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 130 or 143 if a signal ended it, else the exit code of :func:`invoke`."""
    return guarded(lambda: invoke(argv))


def invoke(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 for success, 1 if a rung differs, 2 for a fault that the user can fix."""
    if not sys.warnoptions:  # warnings of the libraries below us are meant for their developers
        warnings.simplefilter("ignore")
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torchinductor"))  # torch's default is in /tmp
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = typer.main.get_command(app)
    try:  # not command.main, which treats any EOFError as an interrupt
        with command.make_context("adiabit", [*arguments] or ["--help"]) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:
        return end.exit_code if arguments else 2
    except (UserError, ToolError) as error:
        return _fault(str(error))
    except _UsageError as error:
        return _fault(f"{' '.join(str(error).split()).rstrip('.')}; see adiabit --help")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("adiabit"):
            raise
        return _fault(f"the Python package {error.name!r} is missing; install it: pip install 'adiabit[all]'")
    except Exception as error:
        if (reason := refused(error)) is None:
            raise
        return _fault(f"{reason}; fix that and run the same command again to resume")


# the base of all usage errors is in typer's own copy of click, in older releases in click itself
_UsageError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _fault(message: str) -> int:
    print(f"adiabit: {message}", file=sys.stderr)
    return 2
