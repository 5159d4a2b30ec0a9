# SPDX-License-Identifier: Apache-2.0
"""Budgets: whether a run is exact and keeps what its recipe allows, for a team that wants to know at each commit."""
