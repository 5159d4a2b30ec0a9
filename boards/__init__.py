# SPDX-License-Identifier: Apache-2.0
"""Where it runs: one folder a board."""
