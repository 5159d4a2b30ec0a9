# SPDX-License-Identifier: Apache-2.0
"""Signal activity: how often each net of the RTL changes, as SAIF and as a sum.

The sum is a proxy of dynamic energy. It weighs every net alike, whatever its load, and counts a net once in each module
that it passes through, so it ranks circuits of the same kind and has no unit of energy. Power estimation of a vendor's
tool reads the SAIF file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from adiabit.flows.simulate.bench import Tracing, build
from adiabit.flows.simulate.config import SimulateConfig
from adiabit.flows.simulate.passes import Passes
from adiabit.flows.simulate.runs import Span

FILE = "activity.saif"
NET = re.compile(r"^\s*\((\S+) .*\(TC (\d+)\)")
CLOCK = "clk_i"


def record(passes: Passes, rtl: Path, config: SimulateConfig, out: Path, log: Path) -> float:
    """Run the first frames at full speed and write `activity.saif` into `out`; toggles a frame, without the clock's."""
    bench = build(rtl, passes.work / "activity", log, tracing=Tracing.SAIF, seed=config.seed)
    count = min(config.activity, len(passes.frames))
    path = out.absolute() / FILE
    replace(passes, simulator=bench).run(Span(end=count, trace=path))
    return toggles(path) / count


def toggles(path: Path) -> int:
    """The sum of a SAIF file's toggle counts, without the clock's."""
    with path.open(encoding="utf-8") as source:
        found = [match for line in source if (match := NET.match(line))]
    return sum(int(match[2]) for match in found if match[1] != CLOCK)
