# SPDX-License-Identifier: Apache-2.0
"""Several processes train one network: what they share, agree on and leave; two machines meet over a port."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from lightning import LightningModule

from adiabit.errors import UserError
from adiabit.train import loop, resume
from adiabit.train.augment import Augmentation
from adiabit.train.batches import Batches
from adiabit.train.checkpoint import load_model
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import load
from adiabit.train.data.mnist import Digits
from adiabit.train.distributed import broadcast, broadcast_file, broadcast_tensors, launch, mean, rank, size
from adiabit.train.measure import accuracy, tensors
from adiabit.train.rendezvous import Rendezvous

SMALL = ModelConfig(topology="free", widths=(32, 16))
SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 100, "threads": 1}


def two(work: Any, *args: Any) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        launch(work, args, devices=2, machines=1, rendezvous=Rendezvous(), task="test", folder=folder, tell=print)
        assert list(folder.iterdir()) == []


def test_one_process_is_alone(tmp_path: Path) -> None:
    assert (rank(), size(), broadcast("mine")) == (0, 1, "mine")
    assert mean(torch.tensor(3.0)) == 3.0
    broadcast_file(tmp_path / "missing")
    assert not list(tmp_path.iterdir())


def _tell_all(folder: Path) -> None:
    """Each process as if it had a folder of its own, which those of two machines have."""
    number, own = rank(), folder / str(rank())
    os.environ["LOCAL_RANK"] = "0"
    own.mkdir()
    if number == 0:
        (own / "file").write_bytes(b"of process 0")
    broadcast_file(own / "file")
    broadcast_file(own / "missing")
    buffers = [torch.full((2,), float(number)), torch.tensor(number)]
    broadcast_tensors(buffers)
    data = Digits()
    config = TrainConfig(batch_size=100, seed=1)
    learner = LightningModule()
    batches = Batches(load(data).train, Augmentation(config, data.source.shape), config, learner)
    frames, labels = next(iter(batches))
    told = {
        "size": size(), "broadcast": broadcast([f"of process {number}", None]),
        "buffers": [b.tolist() for b in buffers],
        "mean": float(mean(torch.tensor(float(number)))),
        "files": sorted(p.name for p in own.iterdir()), "content": (own / "file").read_text(),
        "batches": len(batches), "labels": labels.tolist(), "brightness": frames.sum(1).tolist(),
    }  # fmt: skip
    (folder / f"{number}.json").write_text(json.dumps(told))


def test_what_processes_share_and_agree_on(tmp_path: Path) -> None:
    two(_tell_all, tmp_path)
    first, second = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2))
    for told in (first, second):
        assert (told["size"], told["broadcast"], told["mean"]) == (2, ["of process 0", None], 0.5)
        assert told["buffers"] == [[0.0, 0.0], 0]
        assert (told["files"], told["content"]) == (["file"], "of process 0")
        assert len(told["labels"]) == 50
    config = TrainConfig(batch_size=100, seed=1)
    batches = Batches(load(Digits()).train, Augmentation(config, Digits().source.shape), config, LightningModule())
    frames, labels = next(iter(batches))
    assert len(batches) == first["batches"] == second["batches"]
    for part, told in enumerate((first, second)):  # disjoint, and together the whole batch
        assert told["labels"] == labels[part::2].tolist()
        assert told["brightness"] == frames.sum(1)[part::2].tolist()


def _goes() -> None:
    if rank():
        os._exit(3)
    mean(torch.zeros(1))


def test_a_process_that_goes_is_the_cause_not_what_its_peer_sees(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^training: process 1 ended with exit code 3; fix that and run again"):
        two(_goes)
    assert "Traceback" not in capfd.readouterr().err


def _fit(folder: Path, machine: int, place: str, settings: dict[str, Any]) -> None:
    train, rendezvous = TrainConfig.model_validate(settings), Rendezvous(machine=machine, place=place)
    loop.fit(Digits(), SMALL, train, folder, progress=False, quiet=True, rendezvous=rendezvous)


def test_two_processes_learn_and_resume_exactly(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    for folder in (whole, half):
        folder.mkdir()
    settings = {**SETTINGS, "devices": 2, "shift": 1, "dropout": 0.1}
    context = multiprocessing.get_context("spawn")
    training = context.Process(target=_fit, args=(whole, 0, "", settings))
    training.start()
    while not (last := whole / resume.LAST).exists() and training.is_alive():
        time.sleep(0.002)
    shutil.copy(last, half)  # as a run leaves it that is killed after an epoch
    training.join()
    assert training.exitcode == 0
    assert 1 <= torch.load(half / resume.LAST, weights_only=True)["epoch"] + 1 < SETTINGS["epochs"]
    _fit(half, 0, "", settings)
    nets = [load_model(folder).state_dict() for folder in (whole, half)]
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    metrics, resumed = (json.loads((folder / "metrics.json").read_text()) for folder in (whole, half))
    assert metrics | {"seconds": 0} == resumed | {"seconds": 0}
    assert metrics["hard_test"] > 0.7  # chance is 0.1
    assert accuracy(load_model(whole), *tensors(load(Digits()).test)) == metrics["hard_test"]


def test_two_machines_train_with_a_twin_for_a_teacher(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {**SETTINGS, "machines": 2, "method": "ste", "epochs": 2, "distill": {}}
    context = multiprocessing.get_context("spawn")
    machines = []
    for machine in range(2):
        (tmp_path / str(machine)).mkdir()
        machines.append(context.Process(target=_fit, args=(tmp_path / str(machine), machine, place, settings)))
        machines[-1].start()
    for process in machines:
        process.join()
        assert process.exitcode == 0
    metrics = json.loads((tmp_path / "0" / "metrics.json").read_text())
    assert metrics["hard_test"] > 0.5
    assert not (tmp_path / "1" / "metrics.json").exists()  # they are machine 0's


def test_a_second_machine_of_one_trains_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--machine 1: must be at least 0 and less than \[train\] machines = 1; give"):
        _fit(tmp_path, 1, "", SETTINGS)
    assert not list(tmp_path.iterdir())


def test_a_batch_must_go_into_the_processes() -> None:
    with pytest.raises(ValueError, match="batch_size = 100 must be a multiple of devices x machines = 6"):
        TrainConfig(batch_size=100, devices=3, machines=2)
