# SPDX-License-Identifier: Apache-2.0
"""adiabit: from a PyTorch network to a binary-neural-network accelerator on an FPGA."""

__version__ = "0.1.0"
