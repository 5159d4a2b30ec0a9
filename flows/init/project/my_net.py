"""The network: any torch module of adiabit's or Brevitas' layers, which takes pixels 0...255 and returns logits."""

from torch import nn

from adiabit import nn as binary


class Net(nn.Module):
    """Two hidden layers; weights and activations become -1 and +1."""

    def __init__(self, width=64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            binary.PixelSign(),
            binary.BinaryLinear(784, width),
            nn.BatchNorm1d(width),
            binary.BinaryActivation(),
            binary.BinaryLinear(width, width),
            nn.BatchNorm1d(width),
            binary.BinaryActivation(),
            binary.BinaryLinear(width, 10),
            binary.TensorNorm(width),
        )

    def forward(self, x):
        """Images (B, 1, 28, 28) to logits (B, 10)."""
        return self.layers(x)
