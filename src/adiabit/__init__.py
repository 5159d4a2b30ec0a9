# SPDX-License-Identifier: Apache-2.0
"""adiabit: from a PyTorch network to a binary-neural-network accelerator on an FPGA.

    import adiabit

    trained = adiabit.fit("digits", epochs=10)
    accelerator = adiabit.compile(trained, fold={"fps": 100_000})
    accelerator.simulate()

What is here is imported when it is used: `import adiabit` alone imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adiabit import nn
    from adiabit.errors import UserError
    from adiabit.flows.api.compiling import Accelerator, compile  # noqa: A004  # it is called as adiabit.compile
    from adiabit.flows.api.exporting import Exported, export
    from adiabit.flows.api.results import Report, Simulated, Utilization
    from adiabit.flows.api.training import Trained, fit
    from adiabit.flows.recipe import Recipe
    from adiabit.train.binarize import Binarized, binarize

__version__ = "0.1.0"

__all__ = [
    "Accelerator", "Binarized", "Exported", "Recipe", "Report", "Simulated", "Trained", "UserError", "Utilization",
    "binarize", "compile", "export", "fit", "nn",
]  # fmt: skip

_PLACES = {
    "errors": ("UserError",),
    "flows.api.compiling": ("Accelerator", "compile"),
    "flows.api.exporting": ("Exported", "export"),
    "flows.api.results": ("Report", "Simulated", "Utilization"),
    "flows.api.training": ("Trained", "fit"),
    "flows.recipe": ("Recipe",),
    "train.binarize": ("Binarized", "binarize"),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported at its first use."""
    if name == "nn":
        return importlib.import_module(f"{__name__}.nn")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
