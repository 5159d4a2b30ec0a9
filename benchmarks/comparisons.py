# SPDX-License-Identifier: Apache-2.0
"""Documents whose sections are comparisons of trainings: what benchmarks/{accuracy,methods,paper}.py share.

They keep their trainings in one folder, where runs of equal settings are one run. What is finished is kept and what was
cut off is resumed, so a command can be repeated. A section of which nothing is finished stays as the document has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adiabit.errors import UserError
from adiabit.flows.compare.plan import Run
from adiabit.flows.compare.results import load
from adiabit.flows.compare.run import finished, train
from adiabit.flows.compare.table import markdown, rows

HERE = Path(__file__).parent
OUT = HERE.parent / "build" / "benchmarks" / "compare"


@dataclass(frozen=True)
class Part:
    """A section of a document: a network, trained by several methods."""

    name: str  # on the command line
    title: str
    text: str
    runs: Callable[[Path | None], list[Run]]  # of the folder of the data sets


@dataclass(frozen=True)
class Document:
    """A Markdown file below benchmarks/."""

    file: str
    head: str
    parts: tuple[Part, ...]

    def write(self, folder: Path, plans: Mapping[str, Sequence[Run]], out: Path) -> None:
        """Write it into `folder`, with what `out` holds of the parts' runs."""
        path = folder / self.file
        earlier = sections(path.read_text()) if path.exists() else {}
        made = [section(part, plans[part.name], out, earlier) for part in self.parts]
        path.write_text("\n".join([self.head, *made]))


def section(part: Part, runs: Sequence[Run], out: Path, earlier: Mapping[str, str]) -> str:
    """The section of a part; that of an earlier document, or a line, where nothing is finished."""
    folders = {folder for run in runs if (folder := finished(run, out)) is not None}
    if not folders:
        return earlier.get(part.title, f"## {part.title}\n\nNot run: {part.name}.\n")
    _, table = markdown(rows(runs, out)).split("\n", 1)
    minutes = sum(load(folder).metrics.seconds for folder in folders) / 60
    return f"## {part.title}\n\n{part.text}{table}\n{len(folders)} trainings, {minutes:.0f} minutes together.\n"


def sections(text: str) -> dict[str, str]:
    """The sections of a document by their titles."""
    _, *found = f"\n{text}".split("\n## ")
    return {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in found}


def run(
    documents: Sequence[Document], description: str, argv: list[str] | None = None,
    after: Callable[[Sequence[Run], Path, Path], None] = lambda runs, out, folder: None,  # noqa: ARG005
) -> int:  # fmt: skip
    """The command line of a benchmark.

    `after` is called at the end, with all runs and the folders of the trainings and of the documents.
    """
    parts = {part.name: part for document in documents for part in document.parts}
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the data sets; else ADIABIT_DATA")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), metavar="NAME", help=" ".join(parts))
    parser.add_argument("--jobs", type=int, default=1, help="trainings in parallel")
    parser.add_argument("--report", action="store_true", help="train nothing, write the tables of what is finished")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the trainings")
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the documents")
    args = parser.parse_args(argv)

    plans = {name: part.runs(args.data) for name, part in parts.items()}

    def write() -> None:
        for document in documents:
            document.write(args.to, plans, args.out)

    try:
        for name in [] if args.report else args.only:
            train(plans[name], args.out, _tell, write, args.jobs)
        write()
        print(*(args.to / document.file for document in documents), sep="\n")
        after([run for runs in plans.values() for run in runs], args.out, args.to)
    except UserError as error:
        _tell(f"{parser.prog}: {error}")
        return 2
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
