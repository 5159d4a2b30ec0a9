# SPDX-License-Identifier: Apache-2.0
"""The report: a self-contained HTML file, `report.json` with the same figures, and tables for the terminal."""
