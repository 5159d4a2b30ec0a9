# SPDX-License-Identifier: Apache-2.0
"""Training: from a configuration to a folder with the network, its history and its metrics."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812  (its customary name)
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from adiabit.errors import UserError
from adiabit.train.anneal import Anneal
from adiabit.train.augment import Augmentation
from adiabit.train.batches import Batches
from adiabit.train.checkpoint import MODEL, TENSORS, load_model
from adiabit.train.config import ModelConfig, TrainConfig, check_sizes
from adiabit.train.data import DataConfig, Dataset
from adiabit.train.distill import Teacher
from adiabit.train.distributed import JoinedDDP, broadcast, broadcast_file, launch, rank
from adiabit.train.fuse import fused
from adiabit.train.kernels import why_none
from adiabit.train.learner import Learner
from adiabit.train.memory import memory_kept
from adiabit.train.pictures import Pictures
from adiabit.train.rendezvous import Rendezvous
from adiabit.train.results import save_results
from adiabit.train.resume import LAST, WholeCheckpoints, check_resumable, remove
from adiabit.train.task import Task

__all__ = ["fit", "load_model"]

Watch = Callable[[Sequence[float]], None]

TWIN = "twin"
ALONE = Rendezvous()
PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def fit(
    data: DataConfig, model: ModelConfig, train: TrainConfig, folder: Path, *, progress: bool, quiet: bool = False,
    watch: Watch | None = None, rendezvous: Rendezvous = ALONE, module: nn.Module | None = None,
) -> None:  # fmt: skip
    """Train into `folder`, which exists; a `last.ckpt` of the same configuration in it is resumed.

    Leaves model.pt, model.json, history.json, metrics.json and tensorboard/, on machine 0 of the `rendezvous`.
    `progress` draws a bar; otherwise a line is printed for every tenth of the epochs, unless `quiet`. After each epoch,
    `watch` receives the validation accuracies of all epochs so far, of the network as it is trained (soft); an
    exception in it ends the training. A training of several processes is not watched. `module` is a network that exists
    already, which is copied, and which `model` then only names. `UserError` for missing data or devices, for networks
    that cannot be built, and for checkpoints of another configuration.
    """
    _check_tools(train)
    check_sizes(data, model, train)
    task = Task(data, model, train, module)
    splits = task.splits()
    threads = torch.get_num_threads()
    try:
        if train.processes == 1:
            rendezvous.check(train.machines)
            _fit(task, splits, folder, progress, quiet, watch)
        else:
            launch(_fit_worker, (task, folder, progress, quiet), devices=train.devices, machines=train.machines,
                   rendezvous=rendezvous, task=task.digest(), folder=folder,
                   tell=(lambda _: None) if quiet else _tell)  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def _check_tools(train: TrainConfig) -> None:
    if train.device == "cuda" and (found := torch.cuda.device_count()) < train.devices:
        raise UserError(f'recipe: [train]: device = "cuda", devices = {train.devices}: torch sees {found} CUDA '
                        f'device{"" if found == 1 else "s"}; use fewer, or device = "cpu"')  # fmt: skip
    if train.compile and not shutil.which(os.environ.get("CXX", "g++")):
        raise UserError("recipe: [train]: compile = true needs g++; apt-get install g++, or leave it out")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fit_worker(task: Task, folder: Path, progress: bool, quiet: bool) -> None:
    _fit(task, task.splits(), folder, progress, quiet)


def _fit(task: Task, splits: Dataset, folder: Path, progress: bool, quiet: bool, watch: Watch | None = None) -> None:
    """Train in this process, with the others if there are any."""
    train, last = task.train, folder / LAST
    broadcast_file(last)
    if last.exists():
        check_resumable(last, task.settings)
    teacher = _teacher(task, splits, folder)
    torch.set_num_threads(train.threads or torch.get_num_threads())
    torch.manual_seed(train.seed)
    if train.compile:
        torch.compiler.reset()  # networks compiled earlier would count against its limit
    if train.fusible and not quiet and (reason := why_none()):
        _tell(f"steps are not fused, and slower: {reason}")
    net = task.network()
    splits = splits.shaped(net.frame)
    # In this memory format, a convolution of one channel takes half the time:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.method.start(net)
    augmentation = Augmentation(train, task.data.source.shape)
    anneal = Anneal(train, net, splits, task.settings, augmentation)
    taught = Teacher(train.distill, teacher, net, task) if train.distill and teacher else None
    learner = Learner(net, train, taught)
    batches = Batches(splits.train, augmentation, train, learner)
    shown: list[Callback] = [RichProgressBar(refresh_rate=20)] if progress else [] if quiet else [EpochLines(anneal)]
    drawn = Pictures(net, splits.validation, task.data.source.shape)
    with memory_kept():
        with fused(net, on=train.fusible):
            _run(learner, batches, anneal, folder, [*shown, drawn, *([Watcher(anneal, watch)] if watch else [])])
        if rank() == 0:
            save_results(net, splits, task.model, train, anneal, folder, task.data.legend)
            remove(last)


def _teacher(task: Task, splits: Dataset, folder: Path) -> Path | None:
    """The teacher's folder: the one that the recipe names, else the real-valued twin's, which is trained first."""
    distill = task.train.distill
    if distill is None or distill.teacher is not None:
        return distill.teacher if distill else None
    twin = folder / TWIN
    if not broadcast((twin / MODEL).exists()):
        twin.mkdir(exist_ok=True)
        _fit(task.twin(), splits, twin, False, True)
    for name in (TENSORS, MODEL):
        broadcast_file(twin / name)
    return twin


class EpochLines(Callback):
    """Prints one plain line for every tenth of the epochs."""

    def __init__(self, anneal: Anneal) -> None:
        self.anneal = anneal

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Print the last row of the history."""
        epoch, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        if not trainer.is_global_zero:
            return
        if epoch % max(1, epochs // 10) == 0 or epoch == epochs:
            row = {key: values[-1] for key, values in self.anneal.history.items()}
            _tell(f"epoch {epoch}/{epochs}  loss {row['loss']:.4f}  soft {row['soft_accuracy']:.4f}  "
                  f"hard {row['hard_accuracy']:.4f}")  # fmt: skip


class Watcher(Callback):
    """Calls a function after each epoch."""

    def __init__(self, anneal: Anneal, watch: Watch) -> None:
        self.anneal, self.watch = anneal, watch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Hand over the accuracies so far."""
        self.watch(self.anneal.history["soft_accuracy"])


def _run(learner: Learner, batches: Batches, anneal: Anneal, folder: Path, more: Sequence[Callback]) -> None:
    """Run Lightning's loop, resuming from `last.ckpt` if there is one."""
    config = learner.config
    last = folder / LAST
    keep = ModelCheckpoint(folder, filename=last.stem, save_top_k=1, every_n_epochs=1, save_on_train_epoch_end=True,
                           enable_version_counter=False)  # fmt: skip
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        trainer = L.Trainer(
            accelerator=config.device, devices=config.devices, num_nodes=config.machines,
            strategy=JoinedDDP(find_unused_parameters=learner.net.method.locks) if config.processes > 1 else "auto",
            precision=PRECISIONS[config.precision], max_epochs=config.epochs, callbacks=[anneal, *more, keep],
            logger=TensorBoardLogger(folder, name="tensorboard", version=""), enable_model_summary=False,
            enable_progress_bar=any(isinstance(callback, RichProgressBar) for callback in more),
            log_every_n_steps=10**9, plugins=[WholeCheckpoints()],
        )  # fmt: skip
        trainer.fit(learner, batches, ckpt_path=str(last) if last.exists() else None, weights_only=True)
