# SPDX-License-Identifier: Apache-2.0
"""How many lanes each stage works on at once, and how many beats wait between stages."""
