# SPDX-License-Identifier: Apache-2.0
"""From a method's table, or its name, to the method."""

from __future__ import annotations

from typing import Any

from adiabit.train.methods import tables
from adiabit.train.methods.abc_net import AbcNetMethod
from adiabit.train.methods.adiabatic import AdiabaticMethod
from adiabit.train.methods.base import Method
from adiabit.train.methods.binaryconnect import BinaryConnectMethod, BinaryNetMethod
from adiabit.train.methods.bireal import BiRealMethod
from adiabit.train.methods.bnew import BnewMethod
from adiabit.train.methods.bnn_plus import BnnPlusMethod
from adiabit.train.methods.bop import BopMethod
from adiabit.train.methods.dorefa import DoReFaMethod
from adiabit.train.methods.ir_net import IrNetMethod
from adiabit.train.methods.mirror_descent import MirrorDescentMethod
from adiabit.train.methods.reactnet import ReActNetMethod
from adiabit.train.methods.real import RealMethod
from adiabit.train.methods.ste import SteMethod
from adiabit.train.methods.xnor_net import BwnMethod, XnorNetMethod

METHODS: dict[type[tables.MethodTable], type[Method[Any]]] = {
    tables.Adiabatic: AdiabaticMethod,
    tables.Ste: SteMethod,
    tables.Real: RealMethod,
    tables.BinaryConnect: BinaryConnectMethod,
    tables.BinaryNet: BinaryNetMethod,
    tables.BiReal: BiRealMethod,
    tables.BnnPlus: BnnPlusMethod,
    tables.Bwn: BwnMethod,
    tables.XnorNet: XnorNetMethod,
    tables.DoReFa: DoReFaMethod,
    tables.AbcNet: AbcNetMethod,
    tables.IrNet: IrNetMethod,
    tables.MirrorDescent: MirrorDescentMethod,
    tables.Bop: BopMethod,
    tables.Bnew: BnewMethod,
    tables.ReActNet: ReActNetMethod,
}


def method(table: str | tables.MethodTable) -> Method[Any]:
    """The method of a table, or of a name with its defaults."""
    found = tables.method_table(table)
    return METHODS[type(found)](found)
