# SPDX-License-Identifier: Apache-2.0
"""`adiabit doctor`."""

from __future__ import annotations

import typer

from adiabit.flows.cli.app import app, console


@app.command()
def doctor() -> None:
    """List the tools and libraries of each stage, their versions, and how to install what is missing."""
    from adiabit.flows.doctor import diagnose, render, status

    checks = diagnose()
    console.print(render(checks))
    raise typer.Exit(status(checks))
