# SPDX-License-Identifier: Apache-2.0
"""The sources of ours that a function runs: the closure of its imports, found by parsing the modules.

Nothing is imported to find out. A module counts if it is imported anywhere in the text, even inside a function, if its
full name appears as a string (as for `python -m`), or if a package discovers it. Other files in a module's folder
(templates, C++ benches) belong to it. The package's own `__init__`, which holds the version, does not count.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent  # the folder that holds train, hw, boards and flows
NAME = "adiabit"


@dataclass(frozen=True)
class Sources:
    """The package below `root`; each module is read once."""

    root: Path = PACKAGE
    _imports: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def digest(self, function: Callable[..., Any], data: Sequence[str] = ()) -> str:
        """A digest of the function's text and of its :meth:`files`."""
        found = hashlib.sha256(inspect.getsource(function).encode())
        for path in sorted(self.files(function, data)):
            found.update(f"\0{path.relative_to(self.root)}\0".encode())
            found.update(path.read_bytes())
        return found.hexdigest()[:16]

    def files(self, function: Callable[..., Any], data: Sequence[str] = ()) -> set[Path]:
        """The modules that the function may run, the other files next to them, and all files below `data`."""
        modules = {self._path(module) for module in self.closure(function)}
        beside = {path for folder in {m.parent for m in modules} for path in folder.iterdir() if path.suffix != ".py"}
        below = {path for place in data for path in (self.root / place).rglob("*") if "__pycache__" not in path.parts}
        return modules | {path for path in beside | below if path.is_file()}

    def closure(self, function: Callable[..., Any]) -> set[str]:
        """Every module of ours that the function imports in its body, directly or indirectly."""
        found = set[str]()
        left = set(self._named(ast.parse(textwrap.dedent(inspect.getsource(function))), function.__module__))
        while left:
            found |= left
            left = {name for module in left for name in self._imported(module)} - found
        return found

    def _imported(self, module: str) -> frozenset[str]:
        if module not in self._imports:
            path = self._path(module)
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            tree = ast.parse(path.read_bytes())
            self._imports[module] = frozenset([*self._named(tree, package), *self._discovered(tree, module)])
        return self._imports[module]

    def _named(self, tree: ast.AST, package: str) -> Iterator[str]:
        """The modules that a source text names, and their parent packages."""
        for name in _names(tree, package):
            parts = name.split(".")
            if parts[0] == NAME and self._exists(name):
                yield from (".".join(parts[:n]) for n in range(2, len(parts) + 1))

    def _discovered(self, tree: ast.AST, package: str) -> Iterator[str]:
        """The direct submodules of a package that imports them all by `discover(__name__)`."""
        calls = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call))
        if "discover(__name__)" in calls:
            names = {path.stem for path in self._path(package).parent.iterdir()} - {"__init__", "__pycache__"}
            yield from (f"{package}.{name}" for name in names if self._exists(f"{package}.{name}"))

    def _exists(self, name: str) -> bool:
        return self._path(name).is_file()

    def _path(self, name: str) -> Path:
        place = self.root.joinpath(*name.split(".")[1:])
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    """Candidates for full module names: what the text imports, and strings that look like one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{NAME}."):
            yield node.value
