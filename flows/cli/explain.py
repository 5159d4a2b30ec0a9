# SPDX-License-Identifier: Apache-2.0
"""`adiabit explain`."""

from __future__ import annotations

from adiabit.flows.cli.output import console, give, tell
from adiabit.flows.cli.verb import Request, verb


@verb("explain")
def explain_(request: Request) -> int:
    """Show a recipe's network, or a QONNX model, layer by layer, and all that keeps it from being compiled."""
    from adiabit.flows import untrained
    from adiabit.flows.frontend.explain import explain
    from adiabit.flows.report.tables import layers
    from adiabit.flows.report.terminal import rich_table
    from adiabit.train.models import replacements

    recipe = request.pipeline().recipe
    if recipe.onnx is not None:
        found = explain(recipe.onnx, recipe.compile)
    else:
        if (replaced := replacements(recipe.model, recipe.data.source)) is not None:
            tell(str(replaced))
        found = untrained.explain(recipe)
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
