# SPDX-License-Identifier: Apache-2.0
"""The outcome of a check for machines: JSON, JUnit XML, a Markdown summary, and a badge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from adiabit import files
from adiabit.flows.check.findings import TITLES, Check, table, written
from adiabit.flows.ladder import RungState
from adiabit.flows.report.tables import Table, ladder, markdown
from adiabit.flows.store import open_folder

JSON, JUNIT, SUMMARY, BADGE = "check.json", "junit.xml", "summary.md", "badge.json"
FILES = (JSON, JUNIT, SUMMARY, BADGE)
SHOWN = ("accuracy", "lut", "bram18")  # on the badge


def write(found: Check, out: Path) -> None:
    """Write `check.json`, `junit.xml`, `summary.md` and `badge.json` into the folder `out`, which is made."""
    open_folder(out)
    files.write_text(out / JSON, _dumped(document(found)))
    files.write_text(out / JUNIT, junit(found))
    files.write_text(out / SUMMARY, summary(found))
    files.write_text(out / BADGE, _dumped(badge(found)))


def remove(out: Path) -> None:
    """Remove what :func:`write` has written into the folder `out`, if anything."""
    for name in FILES:
        if (path := out / name).is_file():
            path.unlink()


def _dumped(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def document(found: Check) -> dict[str, Any]:
    """The outcome as JSON types."""
    return {
        "name": found.figures.name, "passed": found.passed, "exact": found.figures.exact,
        "quantities": found.figures.quantities,
        "findings": [{**asdict(finding), "kept": finding.kept} for finding in found.findings],
        "rungs": [{"name": r.name, "status": r.status, "frames": r.frames, "equal": r.equal, "difference": r.difference}
                  for r in found.figures.rungs],
    }  # fmt: skip


def junit(found: Check) -> str:
    """A suite of the ladder, a test case for each rung, and one of the budget, a test case for each limit."""
    document = JUnitXml(found.figures.name)
    for name, cases in (("ladder", _rungs(found)), ("budget", _budget(found))):
        suite = TestSuite(name)
        for title, result in cases:
            case = TestCase(title, f"{found.figures.name}.{name}")
            case.result = [result] if result else []
            suite.add_testcase(case)
        document.add_testsuite(suite)
    return xml(document)


def xml(document: JUnitXml) -> str:
    """A JUnit document as text, its totals included."""
    document.update_statistics()  # type: ignore[no-untyped-call]  # half of junitparser is typed
    text: str = document.tostring().decode()  # type: ignore[no-untyped-call]
    return text


def _rungs(found: Check) -> Iterator[tuple[str, Failure | Skipped | None]]:
    for rung in found.figures.rungs:
        result: Failure | Skipped | None = None
        if rung.status is RungState.DIFFERS:
            result = Failure(rung.difference or "differs", "difference")
        elif not rung.ran:
            result = Skipped(rung.why_not)
        yield str(rung.name), result


def _budget(found: Check) -> Iterator[tuple[str, Failure | Skipped | None]]:
    for finding in found.findings:
        title = TITLES[finding.quantity] + (" against the baseline" if finding.baseline is not None else "")
        yield title, None if finding.kept else Failure(str(finding), "budget")


def summary(found: Check) -> str:
    """The outcome as Markdown, for a pull request."""
    verdict = "passed" if found.passed else "**failed**"
    lines = [f"## {found.figures.name}: {verdict}", "", *_markdown(table(found)), "", *_markdown(ladder(found.figures))]
    return "\n".join(lines) + "\n"


def _markdown(shown: Table) -> list[str]:
    return markdown(shown) if shown.rows else [f"{shown.title}: nothing to compare"]


def badge(found: Check) -> dict[str, Any]:
    """What an endpoint badge of shields.io shows."""
    measured = found.figures.quantities
    parts = [
        f"{written(name, measured[name])}{'' if name == 'accuracy' else ' ' + TITLES[name]}"
        for name in SHOWN if name in measured
    ]  # fmt: skip
    message = " · ".join(["exact" if found.figures.exact else "NOT EXACT", *parts])
    return {
        "schemaVersion": 1, "label": found.figures.name, "message": message,
        "color": "brightgreen" if found.passed else "red",
    }  # fmt: skip
