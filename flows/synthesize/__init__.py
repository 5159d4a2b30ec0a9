# SPDX-License-Identifier: Apache-2.0
"""Synthesis of the RTL with Yosys for a board's part: resources by stage, and the logic delay."""
