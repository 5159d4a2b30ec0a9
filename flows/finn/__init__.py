# SPDX-License-Identifier: Apache-2.0
"""From a network through FINN's streamlining to an accelerator; only this folder imports FINN."""
