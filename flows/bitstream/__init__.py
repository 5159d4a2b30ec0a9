# SPDX-License-Identifier: Apache-2.0
"""From an accelerator to something that a board loads."""
