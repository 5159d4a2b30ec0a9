# SPDX-License-Identifier: Apache-2.0
"""A project to start from. Its files are templates in the folder `project`, in which `$name` is the project's name."""

from __future__ import annotations

from pathlib import Path
from string import Template

from adiabit.flows.recipe import name_of

HERE = Path(__file__).parent / "project"
FILES = {  # by its path in the project, the template
    "$name.toml": "recipe.toml",
    "my_data.py": "my_data.py",
    "my_net.py": "my_net.py",
    "README.md": "README.md",
    ".gitignore": "gitignore",
}


def recipe(folder: Path) -> str:
    """The path of a project's recipe, which has the folder's name."""
    return f"{name_of(folder.resolve().name)}.toml"


def texts(folder: Path) -> dict[str, str]:
    """The texts of the project in `folder`, by their paths in it."""
    name = name_of(folder.resolve().name)
    templates = {place: Template((HERE / file).read_text(encoding="utf-8")) for place, file in FILES.items()}
    return {Template(place).substitute(name=name): text.safe_substitute(name=name) for place, text in templates.items()}
