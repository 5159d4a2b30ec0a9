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


RECIPES = "recipes/*.toml"  # in the texts


def texts(host: Host, recipes: str = RECIPES) -> dict[str, str]:
    """The texts of a host's files, by their paths in the repository; they check the files of the pattern `recipes`."""
    return {PLACES[host]: (HERE / f"{host}.yml").read_text(encoding="utf-8").replace(RECIPES, recipes)}
