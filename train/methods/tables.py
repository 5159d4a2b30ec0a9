# SPDX-License-Identifier: Apache-2.0
"""`[train.method]` of a recipe: one table for each method. How each computes is in the module that it names."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, TypeAdapter, field_validator, model_validator

from adiabit.train.topology import Count, Table

HARD = 1e3  # from this slope on tanh(k * x) counts as sign(x) (Zhao & Xiao, 2021)
Share = Annotated[float, Field(ge=0, le=1)]
Slope = Annotated[float, Field(ge=1e-6, le=1e6)]  # so that none overflows a float32
Factor = Annotated[float, Field(ge=0, le=1e6)]
Growth = Annotated[float, Field(gt=1, le=1e6)]
Power = Annotated[float, Field(ge=0, le=10)]


class Budget(Table):
    """k as a function of the share of the epochs that is done: the anneal fits any budget.

    Activations go geometrically from `activations[0]` to `activations[1]` until `activations_until`, with Gaussian
    noise of std `noise / k` before the tanh. From there on their forward is sign and their backward
    k * (1 - tanh(k * x)**2) with k = `backward`. The weights' k goes geometrically through `weights` between the
    shares `weights_from` and `weights_until`; from there on their forward is sign too, and `weights_backward` is
    their backward's k. With `weights_backward = false` their gradient is the true one throughout, and their last k
    is to be large.

    The default is a short anneal of both (benchmarks/methods.md compares it with others).
    """

    kind: Literal["budget"] = "budget"
    activations: tuple[Slope, Slope] = (1.0, 2.0)
    activations_until: Share = 0.05
    backward: Slope = 1.6
    noise: Factor = 1.0
    weights: tuple[Slope, Slope] = (1.0, 20.0)
    weights_from: Share = 0.0
    weights_until: Share = 0.05
    weights_backward: Slope | Literal[False] = 1.0

    @field_validator("weights_backward", mode="before")
    @classmethod
    def _models_of_earlier_versions_say_null(cls, value: object) -> object:
        return False if value is None else value

    @model_validator(mode="after")
    def _weights_end_after_they_begin(self) -> Self:
        if self.weights_from >= self.weights_until:
            raise ValueError("weights_from must be less than weights_until")
        return self


class Target(Table):
    """Schedule A of Zhao & Xiao, Scientific Reports 11, 19797 (2021): push k while a target accuracy holds.

    While the soft validation accuracy is at or above `target`, k is multiplied by `factor`, at most `pushes`
    times in a row, weights and activations in turn. After `patience` epochs short of it the target becomes the
    best accuracy seen at this k, and k is pushed. A push zeroes the optimizer's state. Learning rate:
    lr0 / (k / k_base)**power with k the larger of the two. Ends when both exceed 1e3.
    """

    kind: Literal["target"] = "target"
    target: Share = 1.0
    k: Slope = 1.0
    factor: Growth = 1.5
    pushes: Count = 3
    patience: Count = 3
    k_base: Slope = 1.0
    power: Power = 0.5


class Patience(Table):
    """Schedule B of the same paper (its ResNet-20): push when `patience` epochs bring no better hard accuracy.

    Ends after `stale` epochs without a better hard accuracy, or when both k exceed 1e3.
    """

    kind: Literal["patience"] = "patience"
    k: Slope = 1.0
    factor: Growth = 1.5
    patience: Count = 15
    stale: Count = 45
    k_base: Slope = 1.0
    power: Power = 0.5


class MethodTable(Table):
    """What every method's table tells beside its own keys."""

    learning_rate: ClassVar[float] = 0.01  # where the recipe gives none
    weight_decay: ClassVar[float] = 0.0  # decoupled, of the weights
    why_not: ClassVar[str] = ""  # it has no binary hardware; empty where it has


class Adiabatic(MethodTable):
    """tanh(k * x), k grows: `methods/adiabatic.py`."""

    weight_decay: ClassVar[float] = 1.0  # keeps latent weights movable

    name: Literal["adiabatic"] = "adiabatic"
    schedule: Annotated[Budget | Target | Patience, Field(discriminator="kind")] = Budget()

    @model_validator(mode="before")
    @classmethod
    def _schedules_name_their_kind(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("schedule"), dict):
            return {**table, "schedule": {"kind": "budget", **table["schedule"]}}
        return table


class Ste(MethodTable):
    """sign with a clipped pass-through gradient in weights and activations: `methods/ste.py`."""

    weight_decay: ClassVar[float] = 1.0

    name: Literal["ste"] = "ste"


class Real(MethodTable):
    """The real-valued twin of the same topology."""

    learning_rate: ClassVar[float] = 0.001
    weight_decay: ClassVar[float] = 0.01
    why_not: ClassVar[str] = "its weights and activations are real"

    name: Literal["real"] = "real"


class BinaryConnect(MethodTable):
    """Binary weights, real activations: `methods/binaryconnect.py`."""

    learning_rate: ClassVar[float] = 0.001
    why_not: ClassVar[str] = "its activations are real"

    name: Literal["binaryconnect"] = "binaryconnect"
    stochastic: bool = False  # draw the signs while training
    glorot: bool = True  # scale each layer's learning rate


class BinaryNet(MethodTable):
    """BinaryConnect with sign activations: `methods/binaryconnect.py`."""

    learning_rate: ClassVar[float] = 0.001

    name: Literal["binarynet"] = "binarynet"
    glorot: bool = True


class BiReal(MethodTable):
    """A quadratic in place of sign's derivative: `methods/bireal.py`."""

    name: Literal["bi-real"] = "bi-real"


class BnnPlus(MethodTable):
    """SignSwish, trainable scales, weights drawn to them: `methods/bnn_plus.py`."""

    name: Literal["bnn+"] = "bnn+"
    beta: Slope = 5.0
    regularizer: Literal["R1", "R2", "none"] = "R2"
    strength: Factor = 1e-6  # of the regularizer, lambda


class Bwn(MethodTable):
    """XNOR-Net's weights, real activations: `methods/xnor_net.py`."""

    why_not: ClassVar[str] = "its activations are real"

    name: Literal["bwn"] = "bwn"


class XnorNet(MethodTable):
    """mean|W| * sign(W) a filter: `methods/xnor_net.py`."""

    name: Literal["xnor-net"] = "xnor-net"


class DoReFa(MethodTable):
    """mean|W| * sign(W) a layer, activations rounded from [0, 1]: `methods/dorefa.py`."""

    name: Literal["dorefa"] = "dorefa"


class AbcNet(MethodTable):
    """Signs about the mean, thresholds that are learnt: `methods/abc_net.py`."""

    name: Literal["abc-net"] = "abc-net"
    bases: Count = 1  # M, of the weights
    shifts: Count = 1  # N, of the activations

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.bases, self.shifts) != (1, 1):
            raise ValueError("more than one base is a sum of binary products, which is not built; bases = shifts = 1")
        return self


class IrNet(MethodTable):
    """Balanced weights, an estimator whose error decays: `methods/ir_net.py`."""

    name: Literal["ir-net"] = "ir-net"
    t: tuple[Slope, Slope] = (1e-2, 10.0)  # from the first epoch to the last


class MirrorDescent(MethodTable):
    """tanh(beta * w) forward, its argument updated by the gradient of its value: `methods/mirror_descent.py`."""

    learning_rate: ClassVar[float] = 0.001

    name: Literal["mirror-descent"] = "mirror-descent"
    beta: Slope = 1.0
    growth: Growth = 1.02
    interval: Count = 200  # steps from one growth to the next


class Bop(MethodTable):
    """Weights that flip, none latent: `methods/bop.py`."""

    name: Literal["bop"] = "bop"
    threshold: Factor = 1e-8  # tau
    gamma: Annotated[float, Field(gt=0, le=1)] = 1e-4  # adaptivity rate
    gamma_decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    gamma_every: Count = 100  # epochs from one decay to the next


class Bnew(MethodTable):
    """Weights that are pushed outwards until they are binary: `methods/bnew.py`."""

    name: Literal["bnew"] = "bnew"
    strength: Factor = 1e-4  # lambda at its largest
    push_from: Share = 0.2  # until there binary activations alone
    lock: Share = 0.98  # weights are projected; the rest is learnt on

    @model_validator(mode="after")
    def _lock_comes_last(self) -> Self:
        if self.push_from >= self.lock:
            raise ValueError("push_from must be less than lock")
        return self


class ReActNet(MethodTable):
    """Activations with thresholds that are learnt, weights in a second step: `methods/reactnet.py`."""

    learning_rate: ClassVar[float] = 1.25e-3

    name: Literal["reactnet"] = "reactnet"
    weights_from: Share = 0.5  # until there they are real


MethodConfig = Annotated[
    Adiabatic | Ste | Real | BinaryConnect | BinaryNet | BiReal | BnnPlus | Bwn | XnorNet | DoReFa | AbcNet | IrNet
    | MirrorDescent | Bop | Bnew | ReActNet,
    Field(discriminator="name"),
]  # fmt: skip
TABLES: tuple[type[MethodTable], ...] = get_args(get_args(MethodConfig)[0])
_METHODS: TypeAdapter[MethodTable] = TypeAdapter(MethodConfig)


def named(method: Any) -> Any:
    """A method as a table with a name: given as its name alone, or without one, which is adiabatic."""
    if isinstance(method, str):
        return {"name": method}
    return {"name": "adiabatic", **method} if isinstance(method, dict) else method


def rules(method: Any) -> type[MethodTable]:
    """The class of a table as :func:`named` gives it; of what is none, that of adiabatic."""
    name = method.get("name") if isinstance(method, dict) else getattr(method, "name", None)
    return next((table for table in TABLES if table.model_fields["name"].default == name), Adiabatic)


def method_table(method: str | MethodTable) -> MethodTable:
    """The table itself, or the defaults of the method of that name; `ValidationError` where there is none."""
    return method if isinstance(method, MethodTable) else _METHODS.validate_python(named(method))
