# SPDX-License-Identifier: Apache-2.0
"""Training: data sets, binary layers, methods, topologies and the training loop."""
