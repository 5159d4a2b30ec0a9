# SPDX-License-Identifier: Apache-2.0
"""The files of a git repository that have changed since a commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from adiabit.errors import UserError


def changed_files(ref: str, recipes: Iterable[Path]) -> list[Path]:
    """The files that differ from the merge base with `ref`, as absolute paths, deleted ones included.

    A shallow clone may lack the merge base; then they differ from `ref` itself, which may be more. What is not
    committed counts: tracked files, and those of `recipes` that git does not track. `UserError` where git cannot tell.
    """
    top = Path(_git("rev-parse", "--show-toplevel")[0])
    (commit,) = _git("rev-parse", "--verify", f"{ref}^{{commit}}")
    try:
        base = _git("merge-base", commit, "HEAD")[0]
    except UserError:
        base = commit
    names = _git("-C", str(top), "diff", "--name-only", "-z", "--no-renames", base, "--")
    if inside := [str(p) for recipe in recipes if (p := recipe.resolve()).is_relative_to(top)]:
        names += _git("-C", str(top), "--literal-pathspecs", "ls-files", "--others", "-z", "--", *inside)
    return [(top / name).resolve() for name in names]


def _git(*words: str) -> list[str]:
    """What a git command prints, by lines or NULs; `UserError` with git's own words where it fails."""
    git = shutil.which("git")
    if git is None:
        raise UserError("git: not found on PATH")
    done = subprocess.run([git, *words], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        told = os.fsdecode(done.stderr).strip().splitlines()
        raise UserError(f"git {words[0]}: {told[0] if told else f'exit code {done.returncode}'}")
    return [os.fsdecode(part) for part in done.stdout.split(b"\0" if b"\0" in done.stdout else b"\n") if part]
