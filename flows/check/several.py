# SPDX-License-Identifier: Apache-2.0
"""Several recipes, each checked by a process of its own, so that none ends the others; their outcomes in one folder."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from junitparser import Error, JUnitXml, TestCase, TestSuite

from adiabit import files
from adiabit.flows.check import results
from adiabit.flows.check.results import JSON, JUNIT, SUMMARY
from adiabit.flows.report.tables import Cell, Column, Table
from adiabit.flows.store import open_folder
from adiabit.flows.toolchain import TAIL, with_parent

FAILED = "failed.json"  # the recipes that failed, as they were given
REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the check of a recipe ended."""

    recipe: Path  # as it was given
    name: str
    out: Path  # the folder of its stages
    passed: bool
    fault: str = ""  # why there is no result

    @property
    def code(self) -> int:
        """The exit code: 1 where a rung differs or a limit is not kept, 2 where there is no result."""
        return 2 if self.fault else int(not self.passed)

    @property
    def verdict(self) -> Cell:
        """The outcome as a word."""
        if self.fault:
            return Cell("no result", "bad")
        return Cell("passed", "good") if self.passed else Cell("FAILED", "bad")


def run(recipe: Path, name: str, out: Path, words: Sequence[str]) -> Outcome:
    """Check one recipe by `adiabit check` with these words; its output is passed on."""
    results.remove(out / "check")  # an earlier result does not stand for this check
    command = [*with_parent(), sys.executable, "-P", "-m", "adiabit", "check", *words]
    lines = []
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None  # noqa: S101  # it is a pipe
        try:
            for line in process.stderr:
                lines.append(line.decode(errors="replace"))
                sys.stderr.write(lines[-1])
        except BaseException:
            process.terminate()  # it ends its own tools, in seconds
            raise
    code = process.returncode
    written = (out / "check" / JSON).is_file() and code in (0, 1)
    return Outcome(recipe=recipe, name=name, out=out, passed=code == 0, fault="" if written else fault(code, lines))


def fault(code: int, lines: Sequence[str]) -> str:
    """Why a process gave no result: what it printed last on stderr, or the signal that ended it."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" + (", as if out of memory" if -code == signal.SIGKILL else "")
    ours = [number for number, line in enumerate(lines) if line.startswith("adiabit: ")]
    text = "".join(lines[ours[-1] :] if ours else lines[-TAIL:]).removeprefix("adiabit: ").strip()
    shown = "".join(c for c in text if c.isprintable() or c in "\n\t")  # XML has no other control characters
    return shown or f"exit code {code}"


def gather(outcomes: Sequence[Outcome], place: Path) -> None:
    """Write the outcomes into the folder `place`, which is made.

    `summary.md`, `junit.xml` and `failed.json` are of all recipes; a folder for each has its own results and report.
    """
    open_folder(place, "--results")
    for outcome in outcomes:
        folder = place / outcome.name
        made = [*(outcome.out / "check" / name for name in results.FILES), outcome.out / "report" / REPORT]
        for file in made:
            if outcome.fault:
                (folder / file.name).unlink(missing_ok=True)  # of an earlier check
            else:
                open_folder(folder, "--results")
                shutil.copyfile(file, folder / file.name)
    files.write_text(place / SUMMARY, "\n".join(map(summary, outcomes)) or "No recipe was checked.\n")
    files.write_text(place / JUNIT, junit(outcomes))
    files.write_text(place / FAILED, json.dumps([str(o.recipe) for o in outcomes if o.code]) + "\n")


def summary(outcome: Outcome) -> str:
    """The outcome of a recipe as Markdown."""
    if not outcome.fault:
        return files.read_text(outcome.out / "check" / SUMMARY, "check again")
    lines = "\n".join(f"    {line}" for line in outcome.fault.splitlines())
    return f"## {outcome.name}: **no result**\n\n`{outcome.recipe}`\n\n{lines}\n"


def junit(outcomes: Sequence[Outcome]) -> str:
    """The suites of all recipes; of one without a result a suite with its fault as an error."""
    merged = JUnitXml("adiabit check")
    for outcome in outcomes:
        if outcome.fault:
            suite, case = TestSuite("check"), TestCase(str(outcome.recipe), outcome.name)
            case.result = [Error(outcome.fault, "fault")]
            suite.add_testcase(case)
            merged.add_testsuite(suite)
            continue
        for suite in JUnitXml.fromfile(str(outcome.out / "check" / JUNIT)):
            merged.add_testsuite(suite)
    return results.xml(merged)


def table(outcomes: Sequence[Outcome]) -> Table:
    """Each recipe and its outcome."""
    rows = tuple((Cell(str(outcome.recipe)), outcome.verdict) for outcome in outcomes)
    faults = tuple(outcome.fault.partition("\n")[0] for outcome in outcomes if outcome.fault)
    return Table(title="Checks", columns=(Column("Recipe"), Column("Outcome")), rows=rows, warnings=faults)
