# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002  (Lightning's hooks have more arguments than one uses)
"""Training: from a configuration to a folder with the network, its history and its measures."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812  (its customary name)
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from adiabit.errors import UserError
from adiabit.train.absorb import absorb_scales
from adiabit.train.anneal import EPOCHS, FAR, Anneal
from adiabit.train.augment import Affine, Crop, Flip
from adiabit.train.checkpoint import MODEL, TENSORS, ModelCard, load_model, save_model, write_json
from adiabit.train.config import ModelConfig, TrainConfig, check_sizes
from adiabit.train.data import DataConfig, Dataset, Split, load
from adiabit.train.distill import Teacher, watched
from adiabit.train.distributed import Together, agreed, launch, rank, share_file, size
from adiabit.train.layers import Network, clear_thresholds
from adiabit.train.measure import accuracy, pixels, reestimate, tensors
from adiabit.train.meeting import Meeting
from adiabit.train.quantizers import hardened, set_quantizers
from adiabit.train.resume import LAST, WholeCheckpoints, check_resumable, remove
from adiabit.train.topology import Shape

__all__ = ["fit", "load_model"]

TWIN = "twin"
ALONE = Meeting()
PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def fit(
    data: DataConfig, model: ModelConfig, train: TrainConfig, folder: Path, *, progress: bool, quiet: bool = False,
    meeting: Meeting = ALONE,
) -> None:  # fmt: skip
    """Train into `folder`, which exists; a `last.ckpt` of the same configuration in it is resumed.

    Leaves model.pt, model.json, history.json, metrics.json and tensorboard/, on machine 0 of the `meeting`. `progress`
    draws a bar, else one line is printed for every tenth of the epochs, unless `quiet`. `UserError` for data that is
    missing, devices that are, and checkpoints of other runs.
    """
    if train.device == "cuda" and (found := torch.cuda.device_count()) < train.devices:
        raise UserError(f'recipe: [train]: device = "cuda", devices = {train.devices}: torch finds {found} CUDA '
                        'devices; use fewer, or device = "cpu"')  # fmt: skip
    if train.compile and not shutil.which(os.environ.get("CXX", "g++")):
        raise UserError("recipe: [train]: compile = true needs g++; apt-get install g++, or leave it out")
    check_sizes(data, model, train)
    splits = load(data).shaped(model.frame(data.source.shape))
    threads = torch.get_num_threads()
    try:
        if train.processes == 1:
            meeting.check(train.machines)
            _fit(splits, data, model, train, folder, progress, quiet)
        else:
            launch(_fit_together, (data, model, train, folder, progress, quiet), devices=train.devices,
                   machines=train.machines, meeting=meeting, name=_task(splits, data, model, train),
                   folder=folder, tell=(lambda _: None) if quiet else _tell)  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _task(splits: Dataset, data: DataConfig, model: ModelConfig, train: TrainConfig) -> str:
    """A digest of what machines must have in common: the settings, but for places on a disk, and the frames."""
    settings = _settings(data, model, train)
    if settings["train"]["distill"]:
        settings["train"]["distill"].pop("teacher")
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for split in (splits.train, splits.validation):
        digest.update(split.frames.tobytes() + split.labels.tobytes())
    return digest.hexdigest()


def _fit_together(data: DataConfig, model: ModelConfig, train: TrainConfig, folder: Path, *shown: bool) -> None:
    _fit(load(data).shaped(model.frame(data.source.shape)), data, model, train, folder, *shown)


def _fit(
    splits: Dataset, data: DataConfig, model: ModelConfig, train: TrainConfig, folder: Path, progress: bool, quiet: bool
) -> None:
    settings = _settings(data, model, train)
    share_file(last := folder / LAST)
    if last.exists():
        check_resumable(last, settings)
    _train_twin(splits, data, model, train, folder / TWIN)
    torch.set_num_threads(train.threads or torch.get_num_threads())
    torch.manual_seed(train.seed)
    if train.compile:
        torch.compiler.reset()  # it counts what was compiled for other networks against its limit
    source = data.source
    net = Network(model, train.method, train.dropout, frame=model.frame(source.shape), classes=source.classes)
    # The format in which a convolution of one channel takes half the time:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.method.start(net)
    anneal = Anneal(train, net, splits, settings)
    teacher = Teacher(train.distill, train.distill.teacher or folder / TWIN, net) if train.distill else None
    learner = Learner(net, train, teacher)
    _train(learner, Batches(splits.train, source.shape, train, learner), anneal, folder, progress, quiet)
    if rank() == 0:
        _finish(net, splits, model, train, anneal, folder)


def _settings(data: DataConfig, model: ModelConfig, train: TrainConfig) -> dict[str, Any]:
    """What a run that is resumed must have in common with what began."""
    return {"data": data.model_dump(mode="json", exclude={"dir"}), "model": model.model_dump(mode="json"),
            "train": train.model_dump(mode="json")}  # fmt: skip


def _train_twin(splits: Dataset, data: DataConfig, model: ModelConfig, train: TrainConfig, folder: Path) -> None:
    """The real-valued twin, of the same budget, where it is the teacher; in every machine's `folder`."""
    if train.distill is None or train.distill.teacher is not None:
        return
    if not agreed((folder / MODEL).exists()):
        folder.mkdir(exist_ok=True)
        own = train.model_dump(exclude={"method", "learning_rate", "weight_decay", "distill"})
        _fit(splits, data, model, TrainConfig.model_validate({**own, "method": "real"}), folder, False, True)
    for name in (TENSORS, MODEL):
        share_file(folder / name)


class Batches:
    """The training split in memory, shuffled anew each epoch by seed and epoch alone; each process has its part."""

    def __init__(self, split: Split, image: Shape, config: TrainConfig, learner: L.LightningModule) -> None:
        self.frames, self.labels = tensors(split)
        self.image, self.config, self.learner = image, config, learner
        affine = Affine(config.shift, config.rotate, config.zoom, config.moved)
        self.augment = (affine, Crop(*config.crop), Flip(config.flip))
        if len(self.labels) < config.batch_size:
            raise UserError(f"recipe: [train]: batch_size = {config.batch_size} exceeds the {len(self.labels)} "
                            "training frames; choose a smaller one")  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels) // self.config.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        seed = self.config.seed * EPOCHS + self.learner.current_epoch
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.labels), generator=generator)
        if rank():
            generator.manual_seed(seed + rank() * FAR)
        for batch in order.split(self.config.batch_size)[: len(self)]:
            rows = batch[rank() :: size()]
            frames = self.frames[rows]
            images = frames.view(-1, *self.image)
            for move in self.augment:
                images = move(images, generator)
            yield images.reshape(frames.shape), self.labels[rows]


class Learner(L.LightningModule):
    """Loss and optimizer; everything that changes with time is the :class:`Anneal` callback's."""

    def __init__(self, net: Network, config: TrainConfig, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.net, self.config, self.teacher = net, config, teacher
        self.run = torch.compile(net.forward) if config.compile else net

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One batch of uint8 frames (B, features) or (B, H, W, C), and labels (B,)."""
        frames, labels = batch
        x = pixels(frames)
        if self.teacher is None:
            loss = self._loss(self.run(x), labels)
        else:
            with watched(self.net) as seen:
                out = self.run(x)
            loss = self.teacher.loss(self._loss(out, labels), out, seen, x)
        penalty = self.net.method.penalty(self.net)
        return loss if penalty is None else loss + penalty

    def _loss(self, out: Tensor, labels: Tensor) -> Tensor:
        if self.config.loss == "cross-entropy":
            return nn.functional.cross_entropy(out, labels)
        signs = nn.functional.one_hot(labels, out.shape[1]) * 2.0 - 1.0
        return nn.functional.relu(1 - signs * out).square().sum(dim=1).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The method's."""
        config = self.config
        return self.net.method.optimizer(self.net, config.optimizer, config.learning_rate, config.weight_decay)


class Lines(Callback):
    """One plain line for every tenth of the epochs."""

    def __init__(self, anneal: Anneal) -> None:
        self.anneal = anneal

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the last row of the history."""
        epoch, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        if not trainer.is_global_zero:
            return
        if epoch % max(1, epochs // 10) == 0 or epoch == epochs:
            row = {key: values[-1] for key, values in self.anneal.history.items()}
            print(f"epoch {epoch}/{epochs}  loss {row['loss']:.4f}  soft {row['soft_accuracy']:.4f}  "
                  f"hard {row['hard_accuracy']:.4f}", file=sys.stderr, flush=True)  # fmt: skip


def _train(learner: Learner, batches: Batches, anneal: Anneal, folder: Path, progress: bool, quiet: bool) -> None:
    """Run Lightning's loop, resuming `last.ckpt` where there is one."""
    config = learner.config
    last = folder / LAST
    keep = ModelCheckpoint(folder, filename=last.stem, save_top_k=1, every_n_epochs=1, save_on_train_epoch_end=True,
                           enable_version_counter=False)  # fmt: skip
    bars: list[Callback] = [RichProgressBar(refresh_rate=20)] if progress else [] if quiet else [Lines(anneal)]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        trainer = L.Trainer(
            accelerator=config.device, devices=config.devices, num_nodes=config.machines,
            strategy=Together(find_unused_parameters=learner.net.method.locks) if config.processes > 1 else "auto",
            precision=PRECISIONS[config.precision], max_epochs=config.epochs, callbacks=[anneal, *bars, keep],
            logger=TensorBoardLogger(folder, name="tensorboard", version=""), enable_model_summary=False,
            enable_progress_bar=progress, log_every_n_steps=10**9, plugins=[WholeCheckpoints()],
        )  # fmt: skip
        trainer.fit(learner, batches, ckpt_path=str(last) if last.exists() else None, weights_only=True)


def _finish(
    net: Network, splits: Dataset, model: ModelConfig, config: TrainConfig, anneal: Anneal, folder: Path
) -> None:
    """Re-estimate, choose by hard validation accuracy, touch the test split once, write the results."""
    net.to(config.device)  # Lightning has put it back on the CPU
    candidates = [anneal.best, anneal.candidate()]
    kept = max((_hardened(net, c, splits, config) for c in candidates), key=lambda c: float(c["hard_validation"]))
    validation, test = tensors(splits.validation), tensors(splits.test)
    hard_test = _accuracy(kept["hard_net"], test)
    net.load_state_dict(kept["state"])
    set_quantizers(net, kept["settings"])
    metrics = {
        "method": config.method.name,
        "soft_validation": accuracy(net, *validation),
        "hard_validation": kept["hard_validation"],
        "soft_test": accuracy(net, *test),
        "hard_test": hard_test,
        "epochs": len(anneal.history["epoch"]),
        "chosen_epoch": kept["epoch"],
        "seconds": anneal.seconds,
        "seed": config.seed,
    }
    write_json(folder / "history.json", anneal.history)
    write_json(folder / "metrics.json", metrics)
    hard = anneal.schedule.finished and net.method.has_hardware
    k_weights, k_activations = kept["slopes"]
    card = ModelCard(
        model=model, frame=net.frame, classes=net.classes, method=config.method, hard=hard,
        dropout=0.0 if hard else config.dropout, k_weights=k_weights, k_activations=k_activations,
    )  # fmt: skip
    result = net if not anneal.schedule.finished else kept["hard_net"]
    save_model(folder, result.cpu(), card)
    remove(folder / LAST)


def _hardened(net: Network, candidate: dict[str, Any], splits: Dataset, config: TrainConfig) -> dict[str, Any]:
    """A candidate, its hard network and that one's validation accuracy.

    The hard network is the hardware's where the method has one; else a copy of the network with its binary weights.
    """
    net.load_state_dict(candidate["state"])
    set_quantizers(net, candidate["settings"])
    with hardened(net):
        if config.reestimation:
            reestimate(net, tensors(splits.train)[0], config.reestimation)
    hard = absorb_scales(net) if net.method.has_hardware else copy.deepcopy(net)
    if net.method.has_hardware:
        clear_thresholds(hard)
    return {**candidate, "hard_net": hard, "hard_validation": _accuracy(hard, tensors(splits.validation))}


def _accuracy(net: Network, split: tuple[Tensor, Tensor]) -> float:
    with hardened(net):
        return accuracy(net, *split)
