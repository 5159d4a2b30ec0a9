# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002  (Lightning's hooks have more arguments than each uses)
"""The Lightning callback that drives a method's schedule, measures the network and keeps the best one."""

from __future__ import annotations

import math
import time
from typing import Any

import lightning as L  # noqa: N812  (its customary name)
import torch
from torch import Tensor, nn

from adiabit.train.augment import Augmentation, Augmented
from adiabit.train.config import TrainConfig
from adiabit.train.data import Dataset
from adiabit.train.distributed import broadcast, broadcast_tensors, mean, rank
from adiabit.train.measure import accuracy, copy_of_state, reestimate, rounding, shuffled, tensors
from adiabit.train.quantizers import hardened, set_quantizers
from adiabit.train.trainable import Trainable

HISTORY = (
    "epoch", "soft_accuracy", "hard_accuracy", "k_weights", "k_activations", "loss", "flip_ratio", "unsaturated", "lr",
)  # fmt: skip
SAMPLE, IMAGES = 10_000, 2_000  # training frames, flat or images, for the hard network's batch-norm statistics
EPOCHS, FAR = 1_000_003, 2**40  # the seed of an epoch is seed * EPOCHS + epoch + process * FAR
SATURATED = 0.99  # a weight counts as saturated from this |tanh(k * w)| on


class Anneal(L.Callback):
    """Before each step: settings and learning rate. After each epoch: accuracies, history, best network, pushes.

    The checkpoint holds its whole state, and random numbers depend on seed and epoch alone, so a resumed run equals an
    uninterrupted one bit for bit.
    """

    def __init__(
        self, config: TrainConfig, net: Trainable, splits: Dataset, settings: dict[str, Any], augmentation: Augmentation
    ) -> None:
        self.config, self.net, self.settings, self.augmentation = config, net, settings, augmentation
        self.frames, self.labels = tensors(splits.validation)
        sample = shuffled(len(splits.train))[: IMAGES if self.frames.ndim == 4 else SAMPLE]
        self.sample = tensors(splits.train)[0][sample]
        self.method = net.method
        self.schedule = self.method.schedule()
        self.history: dict[str, list[Any]] = {key: [] for key in HISTORY}
        self.best: dict[str, Any] = {"hard_accuracy": -1.0}
        self.settled = {"best": -1.0, "waited": 0.0}  # since the anneal: best accuracy, epochs without a better one
        self.seconds = 0.0
        self.losses: list[Tensor] = []
        self.signs: list[Tensor] = []
        self.started = time.monotonic()

    # state ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and tensors, which load with `weights_only`."""
        return {
            "settings": self.settings,
            "schedule": self.schedule.state_dict(),
            "history": self.history,
            "best": self.best,
            "settled": self.settled,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.schedule.load_state_dict(state_dict["schedule"])
        for key in ("history", "best", "settled", "seconds"):
            setattr(self, key, state_dict[key])

    # hooks ------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once if the run was cut off after its last epoch."""
        trainer.should_stop = self.schedule.done or self._stops_early()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the quantizers and the learning rate; at the first step of an epoch, seed the generator."""
        epoch = trainer.current_epoch
        if batch_idx == 0:
            torch.manual_seed(self.config.seed * EPOCHS + epoch + rank() * FAR)
            self.started, self.losses = time.monotonic(), []
            self.signs = [weight.detach() >= 0 for weight in _weights(self.net)]
        batches = max(1, int(trainer.num_training_batches))
        share = (epoch + batch_idx / batches) / self.config.epochs
        self.schedule.at(share, epoch * batches + batch_idx)
        self._apply()
        rate = self.config.learning_rate * self.schedule.learning_rate_factor
        if self.config.learning_rate_schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * share))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate * group.get("rate", 1.0)
        self.method.before_step(trainer.optimizers[0], epoch)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Let the method finish the update; keep the loss."""
        self.method.after_step(self.net, trainer.optimizers[0].param_groups[-1]["lr"], self.schedule)
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure, keep the best, push; all processes use the batch-norm statistics of process 0."""
        broadcast_tensors(self.net.buffers())
        soft = self._soft_accuracy()
        hard = self._hard_accuracy() if self.method.binary else soft
        self._record(trainer, soft, hard)
        if hard > self.best["hard_accuracy"]:
            self.best = self.candidate()
        if self.schedule.after_epoch(soft, hard, self._soft_accuracy):
            trainer.optimizers[0].state.clear()
        if not self.schedule.annealing:
            best, waited = self.settled["best"], self.settled["waited"]
            self.settled = {"best": max(hard, best), "waited": 0 if hard > best else waited + 1}
        trainer.should_stop = trainer.should_stop or self.schedule.done or self._stops_early()
        self.seconds += time.monotonic() - self.started

    def candidate(self) -> dict[str, Any]:
        """The network after the last measured epoch, with the number of that epoch (from 1) and its k."""
        return {
            "epoch": self.history["epoch"][-1],
            "hard_accuracy": self.history["hard_accuracy"][-1],
            "settings": self.schedule.settings,
            "slopes": (self.schedule.k_weights, self.schedule.k_activations),
            "state": copy_of_state(self.net),
        }

    # helpers ----------------------------------------------------------------------------------------------------

    def _stops_early(self) -> bool:
        return self.config.early_stopping is not None and self.settled["waited"] >= self.config.early_stopping

    def _apply(self) -> None:
        set_quantizers(self.net, self.schedule.settings)

    def _soft_accuracy(self) -> float:
        self._apply()
        with rounding(self.config):
            return float(broadcast(accuracy(self.net, self.frames, self.labels)))

    def _hard_accuracy(self) -> float:
        """With the hard network's own batch-norm statistics: those of the soft network would understate it."""
        buffers = [(buffer, buffer.clone()) for buffer in self.net.buffers()]
        with hardened(self.net), rounding(self.config):
            reestimate(self.net, Augmented(self.sample, self.augmentation), passes=1)
            measured = accuracy(self.net, self.frames, self.labels)
        for buffer, before in buffers:
            buffer.copy_(before)
        return float(broadcast(measured))

    def _record(self, trainer: L.Trainer, soft: float, hard: float) -> None:
        weights = [weight.detach() for weight in _weights(self.net)]
        total = max(1, sum(w.numel() for w in weights))
        flips = sum(int(((w >= 0) != s).sum()) for w, s in zip(weights, self.signs, strict=True))
        k = self.schedule.k_weights
        soft_weights = total if k is None else sum(int((torch.tanh(k * w).abs() < SATURATED).sum()) for w in weights)
        if self.schedule.settings.get("weight", {}).get("hard"):
            soft_weights = 0
        row = {
            "epoch": trainer.current_epoch + 1,
            "soft_accuracy": soft,
            "hard_accuracy": hard,
            "k_weights": k,
            "k_activations": self.schedule.k_activations,
            "loss": float(mean(torch.stack(self.losses).mean())),
            "flip_ratio": flips / total,
            "unsaturated": soft_weights / total,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
        }
        for key, value in row.items():
            self.history[key].append(value)
        if trainer.logger:
            logged = {key: value for key, value in row.items() if value is not None} | {"gap": soft - hard}
            trainer.logger.log_metrics(logged, step=trainer.current_epoch + 1)


def _weights(net: nn.Module) -> list[Tensor]:
    """The weights of all products, in the order of the modules."""
    return [m.weight for m in net.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
