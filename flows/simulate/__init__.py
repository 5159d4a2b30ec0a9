# SPDX-License-Identifier: Apache-2.0
"""Simulation of whole test sets: RTL in a C++ bench around Verilator, and HLS C++, compared with the golden model."""
