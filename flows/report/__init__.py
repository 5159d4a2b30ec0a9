# SPDX-License-Identifier: Apache-2.0
"""The report: a self-contained HTML file, `report.json` with the same figures, and tables for the terminal."""

from adiabit.flows.report.build import render, report
from adiabit.flows.report.collect import collect
from adiabit.flows.report.drawing import draw
from adiabit.flows.report.figures import Figures
from adiabit.flows.report.terminal import tables

__all__ = ["Figures", "collect", "draw", "render", "report", "tables"]
