# SPDX-License-Identifier: Apache-2.0
"""Registries: the tables that one key of a recipe chooses from, each registered by the module that implements it."""

from __future__ import annotations

import functools
import importlib
import operator
import pkgutil
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, TypeAdapter

from adiabit.train.table import Table

T = TypeVar("T", bound=Table)


class Registry(Generic[T]):
    """Tables that are told apart by their key `tag`, which is a `Literal` with one name as its default.

    Modules of other packages can register tables as well; a recipe that is read afterwards may name them.
    """

    def __init__(self, tag: str, default: str) -> None:
        self.tag, self.default = tag, default
        self._tables: dict[str, type[T]] = {}
        self._union: TypeAdapter[T] | None = None
        self._others: list[tuple[Callable[[str], bool], type[T]]] = []

    def register(self, table: type[T]) -> type[T]:
        """Class decorator: add a table. `ValueError` where another one has its name."""
        name = table.model_fields[self.tag].default
        if name in self._tables:
            raise ValueError(f"{self.tag} {name!r} is registered already, by {self._tables[name].__module__}")
        self._tables[name] = table
        self._union = None
        return table

    def register_names(self, chosen: Callable[[str], bool]) -> Callable[[type[T]], type[T]]:
        """Class decorator: add a table for all names that `chosen` accepts; its key `tag` is a string."""

        def add(table: type[T]) -> type[T]:
            self._others.append((chosen, table))
            return table

        return add

    @property
    def names(self) -> list[str]:
        """The names of the tables, sorted."""
        return sorted(self._tables)

    def __iter__(self) -> Iterator[type[T]]:
        """The tables, sorted by name."""
        return iter(self._tables[name] for name in self.names)

    def get(self, value: Any, default: type[T]) -> type[T]:
        """The table that `value` chooses as in :meth:`validate`, whether its keys are valid or not; else `default`."""
        tagged = self._tagged(value)
        name = tagged.get(self.tag) if isinstance(tagged, dict) else getattr(value, self.tag, None)
        return self._other(name) or (self._tables.get(name, default) if isinstance(name, str) else default)

    def validate(self, value: Any) -> T:
        """The table that `value` describes: a table, a dict of keys, or a name.

        `ValidationError` names the known names where it has another one, as pydantic does for a discriminated union.
        """
        tagged = self._tagged(value)
        if isinstance(tagged, dict) and (table := self._other(tagged.get(self.tag))):
            return table.model_validate(tagged)
        if self._union is None:
            members: Any = functools.reduce(operator.or_, self)
            self._union = TypeAdapter(Annotated[members, Field(discriminator=self.tag)])
        return self._union.validate_python(tagged)

    def _other(self, name: Any) -> type[T] | None:
        return next((table for chosen, table in self._others if isinstance(name, str) and chosen(name)), None)

    def _tagged(self, value: Any) -> Any:
        if isinstance(value, str):
            return {self.tag: value}
        return {self.tag: self.default, **value} if isinstance(value, dict) else value


def discover(package: str) -> None:
    """Import every module of a package, which registers what it defines."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{found.name}")
