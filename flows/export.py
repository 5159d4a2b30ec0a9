# SPDX-License-Identifier: Apache-2.0
"""Export of a trained, hard network to QONNX, with the vectors that every rung runs and the first two rungs."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from brevitas.export import export_qonnx
from torch import nn

from adiabit import legend as legends
from adiabit.errors import UserError
from adiabit.flows.finn.execute import run_qonnx
from adiabit.flows.frontend import trace
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.model_file import load as load_source
from adiabit.flows.frontend.read import read
from adiabit.flows.ladder import Rung, RungName, Vectors, predicted, save_rungs
from adiabit.legend import NO_LEGEND, Legend
from adiabit.train.blocks import Shape
from adiabit.train.checkpoint import load_card, load_model
from adiabit.train.config import DataConfig, ModelConfig
from adiabit.train.data import Split, load_test
from adiabit.train.measure import logits, pixels
from adiabit.train.schedule import HARD
from adiabit.train.wiring import exact

MODEL = "model.onnx"
ALIKE = 0.98  # the share of frames whose labels float32 keeps at least, else the ladder warns


def export(
    train_folder: Path, data: DataConfig, out: Path, frames: int | None = None, model: ModelConfig | None = None,
    module: nn.Module | None = None,
) -> None:  # fmt: skip
    """Write model.onnx, vectors.npz, legend.json and rungs.json into the existing folder `out`.

    The graph maps pixels 0...255 as float32, (1, features) or (1, C, H, W), to logits (1, classes). `frames` limits
    the number of test frames among the vectors; they are spread evenly over the split. The code of a module of one's
    own comes from `model`, or is `module`. `UserError` where the network is not binary (yet) or computes NaN. The QONNX
    rung reports the first frame where QONNX differs from torch. Where float32 does not hold the sums of a module, exact
    execution of its QONNX is the reference, as for a third party's model.
    """
    card = load_card(train_folder)
    if card.why_not:
        own = bool(card.method.why_not)
        what = f'method = "{card.method.name}"' if own else "the network"
        other = 'another method, e.g. "adiabatic",' if own else "first_bits and last_bits of at most 8"
        raise UserError(f"{train_folder}: {what} has no binary hardware: {card.why_not}; train with {other} to export")
    if not card.hard:
        ends = (f"{k} = {'none' if value is None else format(value, '.4g')}" for k, value in card.slopes.items())
        raise UserError(
            f"{train_folder}: the network is still soft ({', '.join(ends)}, hard from {HARD:.0f}); raise train.epochs "
            "so that the schedule completes"
        )
    net = load_model(train_folder, model, module)
    test = test_split(data, card.frame).spread(frames)
    legend = legend_of(train_folder, card.legend, data)
    export_network(net.inner, test.frames, test.labels, out, legend, integers=exact(net.wiring()))


def export_network(
    net: nn.Module, frames: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], out: Path,
    legend: Legend = NO_LEGEND, *, integers: bool = True,
) -> None:  # fmt: skip
    """Write the same files for a hard network, frames (F, *frame) as the host sends them, and their labels (F,).

    `integers`: whether float32 holds all sums of the network.
    """
    vectors = make_vectors(net, frames, labels)
    write_qonnx(net, frames.shape[1:], out / MODEL)
    if integers:
        verify(out, vectors)
    else:
        vectors = _with_exact_logits(out, vectors)
    vectors.save(out)
    legends.save(out, legend)


def legend_of(folder: Path, trained: Legend, data: DataConfig) -> Legend:
    """The network's legend, or that of the data where the network has none; `UserError` where the two contradict."""
    given = data.legend
    if trained.names and given.names and trained.names != given.names:
        lacking = sorted(set(trained.names) ^ set(given.names))
        why = f"{lacking[0]!r} is a class of one of them" if lacking else "their classes differ in order"
        raise UserError(f"{folder}: was trained on other classes than [data] has: {why}; use its data, or train anew")
    if trained.encoding != given.encoding and trained != Legend():
        raise UserError(f"{folder}: was trained with other ranges of the features than [data] gives, whose training "
                        "split has changed; use its data, or train anew")  # fmt: skip
    return Legend(names=trained.names or given.names, encoding=given.encoding)


def test_split(data: DataConfig, frame: Shape) -> Split:
    """The test split of the data, in frames of the network's shape."""
    source = data.source
    if math.prod(source.shape) != math.prod(frame):
        raise UserError(
            f"recipe: [data]: frames of {data.dataset} have shape {source.shape}, but the network takes {frame}; "
            "use the data set that it was trained on"
        )
    return load_test(data).shaped(frame)


def make_vectors(net: nn.Module, frames: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Vectors:
    """The labelled frames, then :func:`corners`, with the network's results."""
    extra = corners(frames.shape[1:])
    frames = np.concatenate([frames, extra])
    computed = logits(net, torch.from_numpy(frames)).numpy()
    if not np.isfinite(computed).all():
        raise UserError("the network computes NaN or infinity; the training diverged; lower train.learning_rate")
    labels = np.concatenate([labels, np.full(len(extra), -1, dtype=np.int64)])
    return Vectors(frames=frames, labels=labels, logits=computed, predictions=computed.argmax(1).astype(np.int64))


def corners(frame: Shape = (784,)) -> npt.NDArray[np.uint8]:
    """Inputs that data sets lack, (N, *frame): constant, a single element set, checkerboards, noise."""
    rng, size = np.random.default_rng(0), math.prod(frame)
    flat = [np.full(size, value, dtype=np.uint8) for value in (0, 255, 127, 128, 1, 254)]
    places = (0, 1, size // 2, size - 2, size - 1)
    one = [np.where(np.arange(size) == place, 255, 0) for place in places]
    diagonals = np.indices(_image(frame)).sum(axis=0).reshape(size)
    boards = [(diagonals % 2 == parity) * 255 for parity in (0, 1)]
    noise = [rng.integers(0, 256, size) for _ in range(8)] + [rng.integers(0, 2, size) * 255 for _ in range(8)]
    stack = np.stack([*flat, *one, *(255 - np.array(o) for o in one), *boards, *noise])
    return stack.astype(np.uint8).reshape(-1, *frame)


def _image(frame: Shape) -> Shape:
    """A flat frame of square size as an image, so that a checkerboard alternates along both axes."""
    side = math.isqrt(frame[0])
    return (side, side) if len(frame) == 1 and side * side == frame[0] else frame


def write_qonnx(net: nn.Module, frame: Shape, path: Path) -> None:
    """Export a hard network in eval mode; Brevitas writes each quantizer as a BipolarQuant node."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its TorchScript exporter, which Brevitas needs
        export_qonnx(net, pixels(torch.zeros(1, *frame)), str(path), dynamo=False, input_names=["pixels"],
                     output_names=["logits"], keep_initializers_as_inputs=False)  # fmt: skip


def verify(out: Path, vectors: Vectors) -> None:
    """Execute model.onnx on every vector and write both rungs; the second reports the first difference."""
    computed = run_qonnx(out / MODEL, pixels(torch.from_numpy(vectors.frames)).numpy())
    same = (computed == vectors.logits).all(axis=1)
    total = len(same)
    difference = ""
    if not same.all():
        frame = int(np.argmin(same))
        place = int(np.argmax(computed[frame] != vectors.logits[frame]))
        difference = (
            f"frame {frame}, logit {place}: torch {vectors.logits[frame, place]!r}, QONNX {computed[frame, place]!r}"
        )
    reference = vectors.accuracy(vectors.predictions)
    torch_rung = Rung(name=RungName.TORCH, frames=total, equal=total, accuracy=reference)
    qonnx_rung = Rung(
        name=RungName.QONNX, frames=total, equal=int(same.sum()), compared="logits", difference=difference,
        accuracy=vectors.accuracy(computed.argmax(1)),
    )  # fmt: skip
    save_rungs(out, [torch_rung, qonnx_rung])


def _with_exact_logits(out: Path, vectors: Vectors) -> Vectors:
    """The vectors with the logits of exact execution; writes its rung, which tells how torch's labels compare."""
    path, config = out / MODEL, CompileConfig()
    found = trace.logits(load_source(path), read(path, trusted=True), config, vectors.frames)
    labels = predicted(found)
    total, alike = len(labels), int((labels == vectors.predictions).sum())
    exactly = dataclasses.replace(vectors, logits=found, predictions=labels)
    few = (f"torch, in float32, finds another label for {total - alike:,} of {total:,} frames",)
    rung = Rung(
        name=RungName.QONNX, frames=total, equal=total, accuracy=exactly.accuracy(exactly.predictions),
        compared=f"the reference, exact; torch, in float32, finds the same label for {alike:,}",
        warnings=few if alike < ALIKE * total else (),
    )  # fmt: skip
    save_rungs(out, [rung])
    return exactly
