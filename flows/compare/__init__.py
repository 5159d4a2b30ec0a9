# SPDX-License-Identifier: Apache-2.0
"""Comparison of training methods: methods x networks x seeds, with all results in one table."""
