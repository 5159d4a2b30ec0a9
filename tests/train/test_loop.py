# SPDX-License-Identifier: Apache-2.0
"""The training loop on the embedded digits: accuracy, exact resumption, measures, errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from adiabit.errors import UserError
from adiabit.train import anneal, loop, measure, results, task
from adiabit.train.augment import Augmentation, Augmented
from adiabit.train.batches import Batches
from adiabit.train.checkpoint import ModelCard, load_card, load_model, save_model
from adiabit.train.config import ModelConfig, TrainConfig
from adiabit.train.data import load
from adiabit.train.data.mnist import Digits
from adiabit.train.layers import BinaryLinear, TensorNorm
from adiabit.train.learner import Learner
from adiabit.train.methods.adiabatic import Adiabatic
from adiabit.train.methods.real import Real
from adiabit.train.network import Network
from adiabit.train.quantizers import hardened, quantizers

SMALL = ModelConfig(topology="free", widths=(32, 16))
LAYERS = [{"conv": 8, "kernel": 5, "stride": 3, "pad": 1, "pool": 2}, {"conv": 16, "pad": 1}, {"dense": 16}]
LONG = {"schedule": {"activations": [1, 10], "activations_until": 0.3, "weights": [3, 300], "weights_from": 0.4,
                     "weights_until": 0.95, "weights_backward": False}}  # fmt: skip
SMALL_CONV = ModelConfig.model_validate({"topology": "free", "layers": LAYERS})


def run(folder: Path, model: ModelConfig = SMALL, **settings: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    train = TrainConfig.model_validate({"epochs": 4, "batch_size": 100, "threads": 1, **settings})
    loop.fit(Digits(), model, train, folder, progress=False)
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


@pytest.fixture(scope="module", autouse=True)
def _digits_are_read_once() -> Iterator[None]:
    """Reading them takes as long as a test's training."""
    splits = load(Digits())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "load", lambda _: splits)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(folder, epochs=12, method=LONG)
    return folder


def test_a_small_network_learns_digits_and_is_hard(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["hard_test"] > 0.8
    assert metrics["hard_validation"] > 0.8
    assert set(metrics) == {
        "method", "soft_validation", "hard_validation", "soft_test", "hard_test", "validation_frames", "test_frames",
        "epochs", "chosen_epoch", "seconds", "seed",
    }  # fmt: skip
    assert load_card(trained).hard
    net = load_model(trained)
    assert all(q.hard for q in quantizers(net))
    splits = load(Digits())
    assert measure.accuracy(net, *measure.tensors(splits.test)) == metrics["hard_test"]
    assert measure.accuracy(net, *measure.tensors(splits.validation)) == metrics["hard_validation"]


def test_a_small_convolutional_network_learns_digits_and_is_hard(tmp_path: Path) -> None:
    metrics = run(tmp_path, SMALL_CONV, epochs=6)
    assert metrics["hard_test"] > 0.7  # chance is 0.1
    card, net, splits = load_card(tmp_path), load_model(tmp_path), load(Digits()).shaped((28, 28, 1))
    assert (card.hard, card.frame, card.classes) == (True, (28, 28, 1), 10)
    assert measure.accuracy(net, *measure.tensors(splits.test)) == metrics["hard_test"]
    history = json.loads((tmp_path / "history.json").read_text())
    assert 0 < history["flip_ratio"][-1] < history["flip_ratio"][0] < 1


def test_the_history_has_a_value_for_each_epoch(trained: Path) -> None:
    history = json.loads((trained / "history.json").read_text())
    assert list(history) == list(anneal.HISTORY)
    assert all(len(values) == 12 for values in history.values())
    assert history["epoch"] == list(range(1, 13))
    assert history["k_weights"] == sorted(history["k_weights"])
    assert history["loss"][-1] < history["loss"][0]
    assert history["unsaturated"][-1] < 0.5 < history["unsaturated"][0]
    assert 0 < history["flip_ratio"][-1] < history["flip_ratio"][0] < 1
    assert list((trained / "tensorboard").glob("events.*"))
    assert not (trained / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("method", "model"),
    [
        (LONG, SMALL),
        ({"schedule": {"activations_until": 0.4, "weights_until": 0.6}}, SMALL),
        ({"schedule": {"kind": "target", "target": 0.5, "factor": 4.0}}, SMALL),
        ({"schedule": {"kind": "patience", "patience": 1}}, SMALL),
        ("ste", SMALL),
        ("real", SMALL),
        ({"name": "binaryconnect", "stochastic": True}, SMALL),
        ({"name": "bop", "gamma": 1e-2, "gamma_every": 2}, SMALL),
        ({"name": "bnew", "lock": 0.6}, SMALL),
        ({"name": "mirror-descent", "interval": 10}, SMALL),
        ("reactnet", SMALL),
        ("bnn+", SMALL),
        (LONG, SMALL_CONV),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any, model: ModelConfig
) -> None:
    settings: dict[str, Any] = {"method": method, "shift": 1, "dropout": 0.1, "model": model}
    settings |= {"crop": (1, 2), "flip": True} if model.convolutional else {}
    run(tmp_path / "whole", **settings)
    record = anneal.Anneal._record

    def interrupted(self: anneal.Anneal, trainer: Any, soft: float, hard: float) -> None:
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt
        record(self, trainer, soft, hard)

    with monkeypatch.context() as patch:
        patch.setattr(anneal.Anneal, "_record", interrupted)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            run(tmp_path / "parts", **settings)
    assert not (tmp_path / "parts" / "model.json").exists()
    assert torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["epoch"] == 1  # the last that ended
    run(tmp_path / "parts", **settings)
    for name in ("history.json", "model.json"):
        assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()
    whole, parts = (torch.load(tmp_path / f / "model.pt", weights_only=True) for f in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize(
    "schedule",
    [
        {"kind": "budget"},
        LONG["schedule"],
        {"kind": "target", "target": 0.1, "k": 500, "factor": 3.0},
    ],
)
def test_a_run_cut_off_after_its_last_epoch_only_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: dict[str, Any]
) -> None:
    run(tmp_path / "whole", method={"schedule": schedule})

    def cut(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(results, "save_model", cut)
        (tmp_path / "parts").mkdir()
        with pytest.raises(OSError, match="disk full"):
            run(tmp_path / "parts", method={"schedule": schedule})
    run(tmp_path / "parts", method={"schedule": schedule})
    for name in ("history.json", "model.json"):
        assert (tmp_path / "parts" / name).read_text() == (tmp_path / "whole" / name).read_text()
    whole, parts = (json.loads((tmp_path / f / "metrics.json").read_text()) for f in ("whole", "parts"))
    assert whole | {"seconds": 0} == parts | {"seconds": 0}


@pytest.mark.parametrize(
    "state", [{"callbacks": {"Anneal": {"settings": {"train": "another"}}}}, {"callbacks": [1]}, {"callbacks": None}]
)
def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path, state: dict[str, Any]) -> None:
    torch.save(state, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="last.ckpt: belongs to another configuration and cannot be resumed; delete it"):
        run(tmp_path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"callbacks": {}}, tmp_path / "last.ckpt")
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="last.ckpt: damaged or not a checkpoint of ours; delete it"):
        run(tmp_path)


def test_a_schedule_cut_short_leaves_a_soft_network(tmp_path: Path) -> None:
    metrics = run(tmp_path, epochs=2, method={"schedule": {"kind": "target"}})
    card = load_card(tmp_path)
    assert not card.hard
    assert card.k_weights == 1.0
    assert not any(q.hard for q in quantizers(load_model(tmp_path)) if q.role == "weight")
    assert metrics["soft_validation"] > metrics["hard_validation"]


def test_a_target_schedule_ends_hard_before_the_epochs_do(tmp_path: Path) -> None:
    metrics = run(tmp_path, epochs=30, method={"schedule": {"kind": "target", "target": 0.1, "k": 50, "factor": 3.0}})
    assert metrics["epochs"] < 30
    assert load_card(tmp_path).hard


def test_square_hinge_and_sgd_learn_too(tmp_path: Path) -> None:
    metrics = run(tmp_path, method="ste", loss="square-hinge", optimizer="sgd", learning_rate=0.01)
    assert metrics["hard_test"] > 0.4


def test_a_batch_must_not_exceed_the_training_split(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"recipe: \[train\]: batch_size = 4000 exceeds the 3600 training frames"):
        run(tmp_path, batch_size=4000)


@pytest.mark.parametrize(("devices", "found"), [(1, "0 CUDA devices"), (4, "1 CUDA device")])
def test_missing_gpus_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: int, found: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(found[0]))
    with pytest.raises(UserError) as caught:
        run(tmp_path, device="cuda", devices=devices)
    assert str(caught.value) == (
        f'recipe: [train]: device = "cuda", devices = {devices}: torch sees {found}; use fewer, or device = "cpu"'
    )


@pytest.mark.parametrize("method", ["adiabatic", "ste", "real"])
def test_products_in_bfloat16_train_and_final_accuracies_are_in_float32(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of each epoch, which only choose, are in bfloat16, too."""
    seen: set[tuple[str, torch.dtype]] = set()
    forward = TensorNorm.forward

    def spied(self: TensorNorm, x: torch.Tensor) -> torch.Tensor:
        if where or torch.is_grad_enabled():  # else the wiring is looked at
            seen.add((where[-1] if where else "training", x.dtype))
        return forward(self, x)

    where: list[str] = []
    for module in (anneal, results):
        for name in ("accuracy", "reestimate"):
            monkeypatch.setattr(module, name, inside(where, f"{module.__name__.rpartition('.')[2]}.{name}", module))
    monkeypatch.setattr(TensorNorm, "forward", spied)
    metrics = run(tmp_path, precision="bfloat16", method=method, epochs=3)
    expected = {("training", torch.bfloat16), ("anneal.accuracy", torch.bfloat16), ("results.accuracy", torch.float32),
                ("results.reestimate", torch.bfloat16)}  # fmt: skip
    assert seen == expected | ({("anneal.reestimate", torch.bfloat16)} if method != "real" else set())
    assert metrics["hard_test"] > 0.5
    assert {p.dtype for p in load_model(tmp_path).parameters()} == {torch.float32}


def inside(where: list[str], name: str, module: Any) -> Any:
    """A function of a module that tells that it runs."""
    own = getattr(module, name.rpartition(".")[2])

    def call(*args: Any, **named: Any) -> Any:
        where.append(name)
        try:
            return own(*args, **named)
        finally:
            where.pop()

    return call


def test_training_frames_are_augmented_and_keep_their_labels() -> None:
    splits = load(Digits())
    train = TrainConfig(batch_size=64, shift=2, rotate=10, moved=0.5)
    learner = Learner(Network(SMALL, "ste"), train)
    frames, labels = next(iter(Batches(splits.train, Augmentation(train, (28, 28, 1)), train, learner)))
    off = TrainConfig(batch_size=64)
    plain, same = next(iter(Batches(splits.train, Augmentation(off, (28, 28, 1)), off, learner)))
    assert torch.equal(labels, same)
    assert 16 < sum(map(torch.equal, frames, plain)) < 48


def test_images_of_a_network_that_is_dense_are_augmented_too() -> None:
    splits = load(Digits(validation=0.9))  # 400 frames, in both shapes
    train = TrainConfig(batch_size=64, crop=(3, 3), flip=True)
    learner = Learner(Network(SMALL, "ste"), train)
    flat, _ = next(iter(Batches(splits.train, Augmentation(train, (28, 28, 1)), train, learner)))
    images, _ = next(iter(Batches(splits.train.shaped((28, 28, 1)), Augmentation(train, (28, 28, 1)), train, learner)))
    assert flat.shape == (64, 784)
    assert torch.equal(images.flatten(1), flat)


def test_square_hinge_counts_the_classes_of_the_data_set() -> None:
    net = Network(SMALL, "ste", classes=2)
    learner = Learner(net, TrainConfig(loss="square-hinge"))
    frames, labels = torch.randint(0, 256, (6, 784), dtype=torch.uint8), torch.tensor([0, 1] * 3)
    out = net(frames.float())
    right, wrong = out.gather(1, labels[:, None]), out.gather(1, 1 - labels[:, None])
    expected = ((1 - right).relu().square() + (1 + wrong).relu().square()).mean()
    torch.testing.assert_close(learner.training_step((frames, labels), 0), expected)


def test_statistics_are_re_estimated_on_augmented_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[Any]] = {}
    for module in (anneal, results):

        def spied(net: Any, frames: Any, passes: int, own: Any = measure.reestimate, place: Any = module) -> None:
            seen.setdefault(place.__name__, []).append(frames)
            own(net, frames, passes)

        monkeypatch.setattr(module, "reestimate", spied)
    run(tmp_path, epochs=1, shift=2.0)
    plain = measure.tensors(load(Digits()).train)[0]
    rows = torch.arange(200)
    for frames in (seen["adiabit.train.anneal"][0], seen["adiabit.train.results"][0]):
        assert isinstance(frames, Augmented)
        changed = (frames[rows] != frames.frames[rows]).any(1)
        assert changed.float().mean() > 0.9
    assert len(seen["adiabit.train.results"][0]) == len(plain)


def test_frames_are_augmented_anew_when_they_are_indexed_by_draws_of_their_own() -> None:
    frames = torch.randint(0, 256, (8, 6, 6, 3), dtype=torch.uint8)
    augmentation, rows = Augmentation(TrainConfig(crop=(2, 2), flip=True), (6, 6, 3)), torch.arange(8)
    first, second = Augmented(frames, augmentation), Augmented(frames, augmentation)
    torch.rand(5)  # of the global generator
    one, other = first[rows], first[rows]
    assert torch.equal(one, second[rows])
    assert torch.equal(other, second[rows])
    assert not torch.equal(one, other)


def test_what_re_estimates_during_the_anneal_has_all_classes() -> None:
    splits = load(Digits()).shaped((28, 28, 1))
    config, net = TrainConfig(), Network(SMALL_CONV, "ste", frame=(28, 28, 1))
    callback = anneal.Anneal(config, net, splits, {}, Augmentation(config, (28, 28, 1)))
    train = splits.train
    order = {frame.tobytes(): label for frame, label in zip(train.frames, torch.from_numpy(train.labels), strict=True)}
    labels = torch.stack([order[frame.numpy().tobytes()] for frame in callback.sample])
    assert len(labels) == anneal.IMAGES < len(splits.train.labels)
    assert labels.bincount().min() > 150  # of 200


def test_re_estimation_of_images_gives_the_statistics_of_the_whole_split() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 5), torch.nn.BatchNorm2d(3))
    frames = torch.from_numpy(load(Digits()).train.frames[:500]).view(-1, 28, 28, 1)  # two blocks of 250
    measure.reestimate(net, frames, passes=1)
    inner = net[0](frames.permute(0, 3, 1, 2).float()).double()
    torch.testing.assert_close(net[1].running_mean.double(), inner.mean((0, 2, 3)), rtol=2e-3, atol=0)
    torch.testing.assert_close(net[1].running_var.double(), inner.var((0, 2, 3)), rtol=5e-3, atol=0)


def test_re_estimation_gives_the_statistics_of_the_whole_split() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(784, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5))
    frames = torch.from_numpy(load(Digits()).train.frames[:500])
    net.train()
    measure.reestimate(net, frames, passes=2)
    inner = net[0](frames.float())
    torch.testing.assert_close(net[1].running_mean, inner.mean(0))
    torch.testing.assert_close(net[1].running_var, inner.var(0))
    assert net[1].momentum == 0.1
    assert net.training


# models on disk ---------------------------------------------------------------------------------------------------


def test_a_hard_model_keeps_signs_alone(trained: Path) -> None:
    state = torch.load(trained / "model.pt", weights_only=True)
    net = load_model(trained)
    for name, module in net.named_modules():
        if isinstance(module, BinaryLinear):
            assert state[f"{name}.weight"].dtype == torch.uint8  # 8 a byte
            assert set(net.get_parameter(f"{name}.weight").unique().tolist()) == {-1, 1}


def test_a_missing_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="model.json: No such file or directory; `adiabit train` makes it when training has finished"
    ):
        load_model(tmp_path)


def test_a_damaged_description_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"format": 7}')
    with pytest.raises(
        UserError,
        match=r"model.json: not a model description of ours \(format: Input should be 1\); run `adiabit train` again",
    ):
        load_model(tmp_path)


def test_tensors_of_another_topology_are_told(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "model.pt", tmp_path)
    card = ModelCard(model=ModelConfig(), method=Adiabatic(), hard=True)
    (tmp_path / "model.json").write_text(card.model_dump_json())
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/model.pt: tensor 1.weight is (32, 98), but model.json (tfc, adiabatic) needs (64, 784); "
        "the two files must come from the same training"
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x80\x04garbage"])
def test_damaged_tensors_are_told(trained: Path, tmp_path: Path, content: bytes) -> None:
    shutil.copy(trained / "model.json", tmp_path)
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(UserError, match="model.pt: damaged or not a checkpoint of ours; delete it and run"):
        load_model(tmp_path)


def test_code_in_a_checkpoint_is_not_run(trained: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    shutil.copy(trained / "model.json", tmp_path)
    torch.save({"1.weight": Evil()}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="damaged or not a checkpoint of ours"):
        load_model(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_model_survives_saving(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Network(SMALL, "real").eval()
    save_model(tmp_path, net, ModelCard(model=SMALL, method=Real(), hard=False))
    frames = torch.randint(0, 256, (5, 784)).float()
    assert torch.equal(load_model(tmp_path)(frames), net(frames))


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("real", "hard_test"),
        ("bwn", "hard_test"),
        ({"schedule": {"kind": "target"}}, "soft_test"),
        ("bnn+", "hard_test"),
    ],
)
def test_a_network_with_dropout_is_loaded_as_it_was_measured(tmp_path: Path, method: Any, key: str) -> None:
    metrics = run(tmp_path, method=method, dropout=0.2, epochs=2)
    frames, labels = measure.tensors(load(Digits()).shaped((784,)).test)
    assert measure.accuracy(load_model(tmp_path), frames, labels) == pytest.approx(metrics[key])


@pytest.mark.parametrize(
    ("method", "settles"),  # the epoch, from 1, that is the first to count
    [
        ("ste", 1),
        ({"schedule": {"weights_from": 0.1, "weights_until": 0.25, "activations_until": 0.2}}, 6),
        ({"name": "reactnet", "weights_from": 0.3}, 7),
        ({"name": "bnew", "lock": 0.4}, 9),
        ("ir-net", 21),
    ],
)
def test_early_stopping_waits_until_nothing_anneals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Any, settles: int
) -> None:
    """With hard accuracies that fall from the first epoch on."""
    falling = iter(range(99, 0, -1))
    monkeypatch.setattr(anneal.Anneal, "_hard_accuracy", lambda _: next(falling) / 100)
    metrics = run(tmp_path, method=method, epochs=20, early_stopping=3, batch_size=400)
    assert metrics["epochs"] == min(20, settles + 3)  # the first to count is the best of them


@pytest.mark.full
def test_compiled_steps_learn_the_same(tmp_path: Path) -> None:
    plain, compiled = (run(tmp_path / str(c), compile=c, method="adiabatic", epochs=2) for c in (False, True))
    first, second = (json.loads((tmp_path / str(c) / "history.json").read_text()) for c in (False, True))
    assert first["loss"] == pytest.approx(second["loss"], rel=0.2)  # rounding turns signs, which turn others
    assert compiled["hard_test"] == pytest.approx(plain["hard_test"], abs=0.15)


def test_compiling_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="compile = true needs g\\+\\+; apt-get install g"):
        run(tmp_path, compile=True)


def test_steps_that_are_not_fused_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loop, "why_none", lambda: "g++ is not on PATH; apt-get install g++")
    for precision in ("float32", "bfloat16"):
        run(tmp_path / precision, precision=precision, epochs=1)
    line = "steps are not fused, and slower: g++ is not on PATH; apt-get install g++"
    assert capsys.readouterr().err.count(line) == 1


def test_a_training_may_be_watched_and_ended(tmp_path: Path) -> None:
    seen: list[list[float]] = []

    def watch(accuracies: Any) -> None:
        seen.append(list(accuracies))
        if len(accuracies) == 3:
            raise KeyError("enough")

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = run(whole)
    cut.mkdir()
    train = TrainConfig.model_validate({"epochs": 4, "batch_size": 100, "threads": 1})
    with pytest.raises(KeyError, match="enough"):
        loop.fit(Digits(), SMALL, train, cut, progress=False, quiet=True, watch=watch)
    history = json.loads((whole / "history.json").read_text())["soft_accuracy"]
    assert seen == [history[:count] for count in (1, 2, 3)]
    assert not (cut / "metrics.json").exists()
    assert run(cut)["hard_test"] == expected["hard_test"]  # it resumes


def test_real_layers_at_the_ends_are_trained_and_told(tmp_path: Path) -> None:
    model = SMALL_CONV.model_copy(update={"first_bits": 32, "last_bits": 32})
    metrics = run(tmp_path, model, epochs=4)
    assert metrics["hard_test"] > 0.5  # chance is 0.1
    card = load_card(tmp_path)
    assert not card.hard
    assert card.why_not == "the weights of its first and last layer are real"
    with hardened(net := load_model(tmp_path)):
        assert measure.accuracy(net, *measure.tensors(load(Digits()).shaped((28, 28, 1)).test)) == metrics["hard_test"]
