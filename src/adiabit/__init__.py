# SPDX-License-Identifier: Apache-2.0
"""adiabit: from a PyTorch network to a binary-neural-network accelerator on an FPGA."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adiabit import nn as nn
    from adiabit.train.binarize import binarize as binarize

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`adiabit.nn` and `adiabit.binarize`, which import torch, when they are used."""
    if name == "nn":
        import importlib

        return importlib.import_module("adiabit.nn")
    if name == "binarize":
        from adiabit.train.binarize import binarize

        return binarize
    raise AttributeError(f"module 'adiabit' has no attribute {name!r}")
