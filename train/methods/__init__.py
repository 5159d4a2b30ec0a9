# SPDX-License-Identifier: Apache-2.0
"""Methods of training binary networks, a module each: paper and formulas, the keys of its table, its rules.

A module registers its table with `METHODS.register`; no list names it. Tables import no torch, so that a recipe is read
quickly; a table imports its rules, which need torch, when it builds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import PlainValidator, SerializeAsAny

from adiabit.train.registry import Registry, discover
from adiabit.train.table import Table

if TYPE_CHECKING:
    from adiabit.train.method import Method  # imports torch


class MethodTable(Table):
    """`[train.method]` of a recipe: a name, to which a method's own table adds its keys and :meth:`build`."""

    learning_rate: ClassVar[float] = 0.01  # where the recipe gives none
    weight_decay: ClassVar[float] = 0.0  # decoupled, on the weights alone
    why_not: ClassVar[str] = ""  # why its networks have no binary hardware; empty where they have

    name: str

    def build(self) -> Method[Any]:
        """The rules of the method, with the choices of this table."""
        raise NotImplementedError


METHODS: Registry[MethodTable] = Registry(tag="name", default="adiabatic")
MethodConfig = Annotated[SerializeAsAny[MethodTable], PlainValidator(METHODS.validate)]

discover(__name__)
