# SPDX-License-Identifier: Apache-2.0
"""Continuous integration of a user's repository: the files that run `adiabit check` on a host."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent


class Host(StrEnum):
    """Where the repository lies."""

    GITHUB = "github"
    GITLAB = "gitlab"


PLACES = {Host.GITHUB: ".github/workflows/adiabit.yml", Host.GITLAB: ".gitlab-ci.yml"}


def texts(host: Host) -> dict[str, str]:
    """The texts of a host's files, by their paths in the repository."""
    return {PLACES[host]: (HERE / f"{host}.yml").read_text(encoding="utf-8")}
