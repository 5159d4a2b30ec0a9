# SPDX-License-Identifier: Apache-2.0
"""From a QONNX file to a network of typed layers and exact integer thresholds, without FINN."""
