# SPDX-License-Identifier: Apache-2.0
"""What a training leaves: the better of two networks, as the hardware computes it, with its accuracies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from adiabit.legend import Legend
from adiabit.train.absorb import absorb_scales
from adiabit.train.anneal import Anneal
from adiabit.train.augment import Augmentation, Augmented
from adiabit.train.checkpoint import ModelCard, save_model, write_json
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import Dataset, Split
from adiabit.train.fuse import fused
from adiabit.train.margins import clear_thresholds
from adiabit.train.measure import accuracy, reestimate, rounding, tensors
from adiabit.train.quantizers import hardened, set_quantizers
from adiabit.train.trainable import Trainable


def save_results(
    net: Trainable, splits: Dataset, model: ModelConfig, config: TrainConfig, anneal: Anneal, folder: Path,
    legend: Legend,
) -> None:  # fmt: skip
    """Write model.pt, model.json, history.json and metrics.json.

    The candidates are the network of the best epoch and that of the last. Their batch norms are re-estimated, the hard
    validation accuracy chooses one, and that one alone is measured on the test split.
    """
    net.to(config.device)  # Lightning has moved it back to the CPU
    both = (anneal.best, anneal.candidate())
    candidates = [_hard_candidate(net, c, splits, config, anneal.augmentation) for c in both]
    chosen = max(candidates, key=lambda c: float(c["hard_validation"]))
    hard_test = _hard_accuracy(chosen["hard_net"], splits.test)
    net.load_state_dict(chosen["state"])
    set_quantizers(net, chosen["settings"])
    metrics = {
        "method": net.method.table.name,
        "soft_validation": accuracy(net, *tensors(splits.validation)),
        "hard_validation": chosen["hard_validation"],
        "soft_test": accuracy(net, *tensors(splits.test)),
        "hard_test": hard_test,
        "validation_frames": len(splits.validation),
        "test_frames": len(splits.test),
        "epochs": len(anneal.history["epoch"]),
        "chosen_epoch": chosen["epoch"],
        "seconds": anneal.seconds,
        "seed": config.seed,
    }
    write_json(folder / "history.json", anneal.history)
    write_json(folder / "metrics.json", metrics)
    hard = anneal.schedule.finished and not net.why_not
    k_weights, k_activations = chosen["slopes"]
    card = ModelCard(
        model=model.portable, frame=net.frame, classes=net.classes, names=legend.names, encoding=legend.encoding,
        method=net.method.table, hard=hard,
        dropout=0.0 if hard else config.dropout, k_weights=k_weights, k_activations=k_activations,
    )  # fmt: skip
    result = chosen["hard_net"] if anneal.schedule.finished else net
    save_model(folder, result.cpu(), card)


def _hard_candidate(
    net: Trainable, candidate: dict[str, Any], splits: Dataset, config: TrainConfig, augmentation: Augmentation
) -> dict[str, Any]:
    """A candidate with its hard network and the validation accuracy of that.

    The hard network is the hardware's where there is hardware; else a copy of the network, to be hardened.
    """
    net.load_state_dict(candidate["state"])
    set_quantizers(net, candidate["settings"])
    if config.reestimation:
        with hardened(net), rounding(config), fused(net, on=config.fusible):
            reestimate(net, Augmented(tensors(splits.train)[0], augmentation), config.reestimation)
    if not net.why_not:
        hard = absorb_scales(net)
        clear_thresholds(hard)
    else:
        hard = copy.deepcopy(net)
    return {**candidate, "hard_net": hard, "hard_validation": _hard_accuracy(hard, splits.validation)}


def _hard_accuracy(net: Trainable, split: Split) -> float:
    with hardened(net):
        return accuracy(net, *tensors(split))
