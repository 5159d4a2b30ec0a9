# SPDX-License-Identifier: Apache-2.0
"""PYNQ boards: the block design of a Zynq, and the driver that goes onto the board."""
