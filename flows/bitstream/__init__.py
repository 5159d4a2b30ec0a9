# SPDX-License-Identifier: Apache-2.0
"""From an accelerator to a bitstream, or to the Vivado project that builds it."""
