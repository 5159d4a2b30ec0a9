# SPDX-License-Identifier: Apache-2.0
"""Boards: one folder each."""
