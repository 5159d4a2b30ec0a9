# SPDX-License-Identifier: Apache-2.0
"""The stages of a design, mapped by Yosys side by side; those that were mapped before are taken from a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from adiabit.flows import toolchain
from adiabit.flows.progress import counted
from adiabit.hw.emit.design import Design

if TYPE_CHECKING:
    from adiabit.flows.synthesize.yosys import Job, Mapped  # which needs pyosys

TOP = "top"  # the logic outside the stages
MAPPER = tuple(Path(__file__).parent / name for name in ("yosys.py", "pairs.py", "output_registers.py"))


def map_parts(
    design: Design,
    rtl: Path,
    family: str,
    out: Path,
    work: Path,
    known: Path | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Mapped]:
    """By stage, and for `TOP`, the mapped cells; logs go into `out`, temporary files into `work`.

    `known`: a folder of results by content; it is made, read and added to. `names`: of stages, if not all are wanted.
    """
    jobs = {name: job for name, job in _jobs(design, family).items() if names is None or name in names}
    keys = {name: _key(job, rtl, memories) for name, (job, memories) in jobs.items()}
    results = known or work / "mapped"
    results.mkdir(exist_ok=True)
    new = {key: name for name, key in reversed(keys.items()) if not (results / f"{key}.json").exists()}  # one of equals
    commands = []
    for name in sorted(new.values(), key=lambda name: _size(rtl, jobs[name][1]), reverse=True):  # the longest first
        (file := work / f"{name}.json").write_text(json.dumps(jobs[name][0]))
        args = [sys.executable, "-m", "adiabit.flows.synthesize.yosys", str(file), str(work / f"{name}.result")]
        commands.append((args, out / f"{name}.log"))
    logs = toolchain.run_tools(commands, cwd=rtl, temporary=work, at_once=toolchain.cores())
    for log in counted("synthesis, stages", logs, len(commands)):
        key = keys[log.stem]
        shutil.copyfile(work / f"{log.stem}.result", aside := results / f".{key}.partial")
        aside.rename(results / f"{key}.json")
    return {name: json.loads((results / f"{key}.json").read_text()) for name, key in keys.items()}


def _jobs(design: Design, family: str) -> dict[str, tuple[Job, tuple[str, ...]]]:
    """By stage, what is to be mapped, and its memory files."""
    timing = family == "xc7"
    jobs: dict[str, tuple[Job, tuple[str, ...]]] = {}
    for part in design.parts:
        jobs[part.name] = (
            {"top": part.module, "parameters": part.parameters, "sources": part.sources, "boxes": [],
             "family": family, "timing": timing},
            part.memories,
        )  # fmt: skip
    boxes = sorted({part.module for part in design.parts})
    whole: Job = {"top": design.top, "parameters": {}, "sources": design.sources, "boxes": boxes, "family": family,
                  "timing": False}  # fmt: skip
    return {**jobs, TOP: (whole, ())}


def _size(rtl: Path, memories: tuple[str, ...]) -> int:
    """Bytes of memory files."""
    return sum((rtl / name).stat().st_size for name in memories)


def _key(job: Job, rtl: Path, memories: tuple[str, ...]) -> str:
    """A digest of all on which a result depends."""
    sha = hashlib.sha256(json.dumps([job, version("pyosys")], sort_keys=True).encode())
    for path in (*(rtl / name for name in (*job["sources"], *memories)), *MAPPER):
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()[:32]
