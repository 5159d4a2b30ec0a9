# SPDX-License-Identifier: Apache-2.0
"""What is learnt: data, binary layers, annealing schedules, topologies and the training loop."""
