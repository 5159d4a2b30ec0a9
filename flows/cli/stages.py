# SPDX-License-Identifier: Apache-2.0
"""The verbs of stages that have no options of their own."""

from __future__ import annotations

from adiabit.flows.cli.verb import FreshOption, Request, finish, verb


def _add(stage: str, text: str) -> None:
    @verb(stage, text)
    def make(request: Request, fresh: FreshOption = False) -> int:
        return finish(request.pipeline(stage if fresh else ""), stage)


_add("export", "Export the trained network to QONNX and save the vectors of the ladder.")
_add("synthesize", "Synthesize the RTL with Yosys for the target's part.")
