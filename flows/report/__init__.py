# SPDX-License-Identifier: Apache-2.0
"""The report: an HTML file that works offline, `report.json` with the same figures, tables for the terminal."""

from adiabit.flows.report.build import render, report
from adiabit.flows.report.collect import collect
from adiabit.flows.report.drawing import draw
from adiabit.flows.report.figures import Figures
from adiabit.flows.report.terminal import tables

__all__ = ["Figures", "collect", "draw", "render", "report", "tables"]
