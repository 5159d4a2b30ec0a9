# SPDX-License-Identifier: Apache-2.0
"""The source of a module of one's own: where it is, a digest of it, and the class or function that it names.

`FILE.py:Name` is a file; `package.module:Name` is found as Python finds it. Code is run in :func:`load` alone, and only
what a recipe or a caller names: a checkpoint keeps the name, never the code.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from adiabit import files
from adiabit.errors import UserError
from adiabit.train.topology import ModelConfig

REMEDY = 'give the path of a Python file, relative to the recipe, e.g. "my_net.py:Net"'
CALL = "it must be a class or a function that returns an nn.Module"


@dataclass(frozen=True)
class Reference:
    """A class or a function by the file or the module that defines it."""

    place: str
    name: str

    @classmethod
    def of(cls, text: str) -> Reference:
        """From `FILE.py:Name` or `package.module:Name`."""
        place, _, name = text.rpartition(":")
        return cls(place, name)

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"

    @property
    def is_file(self) -> bool:
        """Whether it names a file."""
        return self.place.endswith(".py")

    @property
    def file(self) -> Path:
        """The source file, without importing anything; `UserError` where there is none."""
        if self.is_file:
            return files.regular(Path(self.place), REMEDY)
        top, *rest = self.place.split(".")
        spec = importlib.util.find_spec(top)
        folders = [*spec.submodule_search_locations] if spec and spec.submodule_search_locations else []
        bases = [Path(folder).joinpath(*rest) for folder in folders]
        candidates = [path for base in bases for path in (base / "__init__.py", base.with_suffix(".py"))]
        if spec and spec.origin and not rest:
            candidates.insert(0, Path(spec.origin))
        for path in candidates:
            if path.is_file():
                return path
        raise UserError(f"module {self.place!r}: Python finds no such module; install it, or {REMEDY}")

    @property
    def sources(self) -> list[Path]:
        """The source file and all beside it, or in its package, that it imports, directly or not; sorted."""
        first = self.file
        depth = 0 if self.is_file else len(self.place.split(".")) - (first.name != "__init__.py")
        root = first.parents[depth]
        top = None if self.is_file else self.place.split(".")[0]
        found, left = set[Path](), {first}
        while left:
            found |= left
            left = {path for one in left for path in _imported(one, root, top)} - found
        return sorted(found)


def _imported(path: Path, root: Path, top: str | None) -> Iterator[Path]:
    """The files below `root` that a source file imports; of a package, those of the package alone."""
    try:
        tree = ast.parse(files.read_bytes(path, REMEDY))
    except (SyntaxError, ValueError):
        return  # importing it tells
    package = [*path.parent.relative_to(root).parts]
    for node in ast.walk(tree):
        names: list[list[str]] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *(node.module.split(".") if node.module else [])]
            names = [base, *([*base, alias.name] for alias in node.names)]
        for name in names:
            if name and (top is None or name[0] == top):
                ends = [root.joinpath(*name[:n]) for n in range(1, len(name) + 1)]
                yield from (f for end in ends for f in (end.with_suffix(".py"), end / "__init__.py") if f.is_file())


def digest(model: ModelConfig) -> str:
    """A digest of what a module of one's own depends on besides its table: its sources, and its initial weights.

    Empty for a topology of ours.
    """
    if model.module is None:
        return ""
    hashed = hashlib.sha256(json.dumps(model.arguments, sort_keys=True, default=str).encode())
    for path in Reference.of(model.module).sources:
        hashed.update(f"\0{path.name}\0".encode() + files.read_bytes(path, REMEDY))
    if model.weights is not None:
        hashed.update(files.read_bytes(model.weights, "give a state dict that torch.save has written"))
    return hashed.hexdigest()


def load(reference: Reference, must: str = CALL) -> Callable[..., Any]:
    """The class or function that a reference names, imported now; `UserError`, which says what it `must` be."""
    module = _imported_file(reference) if reference.is_file else _imported_module(reference)
    found = getattr(module, reference.name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    if found is not None:
        raise UserError(f"{reference}: {reference.name} is a {type(found).__name__}; {must}")
    defined = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
    near = difflib.get_close_matches(reference.name, defined, n=1)
    told = f"did you mean {near[0]!r}?" if near else f"it defines {sorted(defined) or 'none'}; {must}"
    raise UserError(f"{reference}: no class or function {reference.name!r}; {told}")


def _imported_module(reference: Reference) -> ModuleType:
    reference.file  # noqa: B018  (refuses a module that cannot be found)
    with reported(reference):
        return importlib.import_module(reference.place)


def _imported_file(reference: Reference) -> ModuleType:
    """The file as a new module, which can import files beside it; those are imported anew, too."""
    path = reference.file.absolute()
    for source in reference.sources:
        parts = source.absolute().relative_to(path.parent).with_suffix("").parts
        sys.modules.pop(".".join(parts).removesuffix(".__init__"), None)
    name = f"adiabit_own_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # noqa: S101  # its suffix is .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with reported(reference), _beside(path.parent):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Within the context, files of a folder can be imported, as where one of them is run; no bytecode is left there."""
    before = sys.path.copy(), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before


@contextmanager
def reported(what: object) -> Iterator[None]:
    """Within the context, what a user's code raises becomes a `UserError` of one line, with the place in that code."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0][:200]
        raise UserError(f"{what}: {type(error).__name__}{_place(error)}: {first}") from error


def _place(error: Exception) -> str:
    """The innermost line that is neither ours nor a library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in line {error.lineno} of {Path(error.filename).name}"
    theirs = [
        frame for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not {"site-packages", "adiabit"} & {*Path(frame.filename).parts}
    ]  # fmt: skip
    return f" in line {theirs[-1].lineno} of {Path(theirs[-1].filename).name}" if theirs else ""
