# SPDX-License-Identifier: Apache-2.0
"""What is run: the stages from recipe to report, and the command line."""
