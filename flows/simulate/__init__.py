# SPDX-License-Identifier: Apache-2.0
"""Whole test sets through the RTL: a generated C++ bench around Verilator, compared with the golden model."""
