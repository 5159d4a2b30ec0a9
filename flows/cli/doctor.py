# SPDX-License-Identifier: Apache-2.0
"""`adiabit doctor`."""

from __future__ import annotations

import typer

from adiabit.flows.cli.app import app, console


@app.command()
def doctor() -> None:
    """Print each tool and library that a stage needs, its version, and how to install what is missing."""
    from adiabit.flows import doctor as physician

    checks = physician.diagnose()
    console.print(physician.render(checks))
    missing = [check for check in checks if check.missing]
    raise typer.Exit(2 if missing else 0)
