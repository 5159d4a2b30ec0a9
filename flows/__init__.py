# SPDX-License-Identifier: Apache-2.0
"""The flow: the stages from recipe to report, and the command line."""
