# SPDX-License-Identifier: Apache-2.0
"""The methods of training binary networks: a module each, and a table of what a recipe chooses about it."""
