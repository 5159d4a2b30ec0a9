# SPDX-License-Identifier: Apache-2.0
"""What `adiabit init` writes into a user's repository."""
