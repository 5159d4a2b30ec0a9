# SPDX-License-Identifier: Apache-2.0
"""Verbs for stages without options of their own."""

from __future__ import annotations

from adiabit.flows.cli.verb import FreshOption, Request, finish_one, verb
from adiabit.flows.ladder import StageName


def _add(stage: StageName, text: str) -> None:
    @verb(stage, text)
    def make(request: Request, fresh: FreshOption = False) -> int:
        return finish_one(request, stage, fresh=fresh)


_add(StageName.EXPORT, "Export the trained network to QONNX and save the vectors of the ladder.")
_add(StageName.SYNTHESIZE, "Synthesize the RTL with Yosys for the target's part.")
