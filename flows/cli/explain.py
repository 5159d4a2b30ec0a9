# SPDX-License-Identifier: Apache-2.0
"""`adiabit explain`."""

from __future__ import annotations

from adiabit.flows.cli.output import console, give, tell
from adiabit.flows.cli.verb import Request, verb
from adiabit.flows.ladder import StageName


@verb("explain")
def explain_(request: Request) -> int:
    """Show a QONNX model layer by layer, and all that keeps it from being compiled."""
    from adiabit.flows.frontend.explain import explain
    from adiabit.flows.report.tables import layers
    from adiabit.flows.report.terminal import rich_table

    pipeline = request.pipeline()
    given = pipeline.recipe.onnx
    path = given or pipeline.folder(StageName.EXPORT) / "model.onnx"
    found = explain(path, pipeline.recipe.compile, trusted=given is None)
    give(found)
    if found.layers:
        console.print(rich_table(layers(found.layers)))
    for line in found.faults:
        tell(line)
    count = len(found.faults)
    if not count:
        tell("It compiles.")
        return 0
    tell(f"{count} {'fault keeps' if count == 1 else 'faults keep'} it from being compiled.")
    return 2
