# SPDX-License-Identifier: Apache-2.0
"""Synthesis of the RTL by Yosys for the part of a board: resources by stage, and the depth of the logic."""
