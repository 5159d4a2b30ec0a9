# SPDX-License-Identifier: Apache-2.0
"""From a QONNX model, through FINN's streamlining, to an accelerator; only this folder knows FINN and onnx."""
