# SPDX-License-Identifier: Apache-2.0
"""`adiabit doctor`."""

from __future__ import annotations

import dataclasses

from adiabit.flows.cli.app import command
from adiabit.flows.cli.output import console, give


@command()
def doctor() -> int:
    """List the tools and libraries of each stage, their versions, and how to install what is missing."""
    from adiabit.flows.doctor import diagnose, render, status

    checks = diagnose()
    console.print(render(checks))
    give([{**dataclasses.asdict(check), "missing": check.missing} for check in checks])
    return status(checks)
