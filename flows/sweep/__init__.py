# SPDX-License-Identifier: Apache-2.0
"""Sweeps: many runs of one base recipe, for accuracy against resources."""
