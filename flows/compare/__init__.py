# SPDX-License-Identifier: Apache-2.0
"""Methods x networks x seeds: trained, and told in one table."""
