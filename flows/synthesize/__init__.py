# SPDX-License-Identifier: Apache-2.0
"""The RTL through Yosys for the part of a board: what it takes, stage by stage, and how deep its logic is."""
