# SPDX-License-Identifier: Apache-2.0
"""From a QONNX model, through FINN's streamlining, to an accelerator; the one folder that knows FINN, qonnx and onnx."""
