# SPDX-License-Identifier: Apache-2.0
"""Integers that are ordered like the logits, where each class has its own factor or addend.

The logits are a_c n_c + b_c for the sums n_c of the last layer. The *scores* A_c n_c + B_c are integers such that for
all sums that the layer can reach, of all pairs of classes, the larger logit has the larger score, and equal logits have
equal scores. Then the class of the largest score is that of the largest logit.

With one factor a for all classes no search is needed: n + b_c / a, if a > 0, has an integer part and a fraction, and of
the fraction only the rank counts. With several, A and B are a and b times a power of two, rounded, with the fewest bits
that keep the order of all sums, which are sorted for it.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np

from adiabit.flows.frontend.chain import Reals
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, levels_of
from adiabit.flows.frontend.network import Average, Network, Product, Ranking
from adiabit.flows.frontend.quantizer import Levels
from adiabit.flows.frontend.trace import KEPT, settled
from adiabit.hw.stages import Ints
from adiabit.hw.stages.stream import BITS

VALUES = 1 << 24  # of all classes, whose order can be checked
LIMIT = 1 << (BITS - 3)  # of scores; streams of sums have some more values than can be reached


def ranking(network: Network, config: CompileConfig) -> Ranking | None:
    """The scores of a network; None if no scores of few bits are found."""
    found = levels_of(network, config)
    logits = edge_levels(network.output, found)
    scale, offset = (np.broadcast_to(v, network.classes).astype(float) for v in (logits.scale, logits.offset))
    lows, highs, step = _reachable(network, found)
    if np.ptp(scale) == 0 and scale[0] != 0:
        return _by_parts(scale[0], offset, int(np.abs([lows, highs]).max()))
    if np.sum((highs - lows) // step + 1) > VALUES:
        return None
    return _by_search(scale, offset, [np.arange(a, b + 1, step) for a, b in zip(lows, highs, strict=True)])


def _reachable(network: Network, found: dict[str, Levels]) -> tuple[Ints, Ints, int]:
    """Smallest and largest sum of each class (C,), and the step between sums."""
    source = network.by_name[network.output.source]
    levels, pixels = found[source.name], 1
    if isinstance(source, Average):
        pixels, source = source.count, network.by_name[source.edge.source]
    if not isinstance(source, Product):
        ones = np.ones(source.channels, np.int64)
        return levels.low * ones, levels.high * ones, levels.step
    reads = edge_levels(source.edge, found)
    ends = np.stack([source.weights * reads.low, source.weights * reads.high])
    lows, highs = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
    return pixels * lows, pixels * highs, levels.step


def _by_parts(scale: float, offset: Reals, largest: int) -> Ranking | None:
    """Scores where all classes have one factor: the integer part of n + b / |a|, then the rank of its fraction.

    Addends are rounded to where float64 has noise beside the `largest` sum.
    """
    exact = [Fraction(float(b)) / abs(Fraction(float(scale))) for b in offset]
    fine = 2 ** max(0, KEPT - 1 - int(largest + max(map(abs, exact))).bit_length())
    addends = [Fraction(round(b * fine), fine) for b in exact]
    whole = [floor(b) for b in addends]
    fractions = [b - n for b, n in zip(addends, whole, strict=True)]
    ranks = {b: rank for rank, b in enumerate(sorted(set(fractions)))}
    bits = (len(ranks) - 1).bit_length()
    if (largest + max(map(abs, whole)) + 1) << bits >= LIMIT:
        return None
    scores = np.array([(n << bits) + ranks[b] for n, b in zip(whole, fractions, strict=True)], np.int64)
    turn = 1 if scale > 0 else -1
    return Ranking(np.full(len(offset), turn << bits, np.int64), scores)


def _by_search(scale: Reals, offset: Reals, sums: list[Ints]) -> Ranking | None:
    """Scores of the fewest bits that are ordered like the logits of all sums."""
    classes = np.repeat(np.arange(len(sums)), [len(n) for n in sums])
    n = np.concatenate(sums)
    logits = scale[classes] * n + offset[classes]
    order = np.argsort(logits, kind="stable")
    classes, n = classes[order], n[order]
    rises = np.diff(settled(logits[order])) > 0
    unit = float(np.abs(scale).max()) or 1.0
    for bits in range(BITS):
        factors, addends = (np.rint(value / unit * 2.0**bits) for value in (scale, offset))
        if np.abs(factors).max() * np.abs(n).max() + np.abs(addends).max() >= LIMIT:
            return None
        factors, addends = factors.astype(np.int64), addends.astype(np.int64)
        steps = np.diff(factors[classes] * n + addends[classes])
        if np.all(np.where(rises, steps > 0, steps == 0)):
            return Ranking(factors, addends)
    return None
