# SPDX-License-Identifier: Apache-2.0
"""Accuracy against resources: published designs to set one's own beside."""
