# SPDX-License-Identifier: Apache-2.0
"""The stage `compile`: from a QONNX model to a folder with the folded accelerator."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from adiabit.boards import catalog
from adiabit.boards.catalog import Board
from adiabit.errors import UserError
from adiabit.flows.finn import figures
from adiabit.flows.finn.compare import Comparison
from adiabit.flows.finn.execute import run_model
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.finn.folding import folded
from adiabit.flows.finn.folding_json import to_finn_json
from adiabit.flows.finn.lower import lower
from adiabit.flows.finn.streamline import Streamlined, streamline
from adiabit.flows.finn.vacuous import unfit_input
from adiabit.flows.frontend.config import CompileConfig
from adiabit.flows.frontend.levels import edge_levels, host_levels, levels_of
from adiabit.flows.frontend.model_file import load
from adiabit.flows.frontend.network import Network
from adiabit.flows.frontend.normalize import normalize
from adiabit.flows.frontend.read import read
from adiabit.flows.frontend.trace import channels_last, frames_for, logits, model_input
from adiabit.flows.ladder import Rung, RungName, Vectors, predicted, save_rungs
from adiabit.flows.toolchain import ToolError
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.legend import NO_LEGEND, Legend

LOG = "finn.log"
UNRANKED = (
    "the factors and addends of the classes have no integers of few bits with the order of the logits, so the sums "
    "come out and the host selects the label"
)
Labelled = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]  # frames (F, ...), labels (F,)


def compile_model(
    model: Path,
    vectors: Vectors | None,
    out: Path,
    config: CompileConfig,
    *,
    board: Board | None = None,
    clock_mhz: float = 100.0,
    test: Labelled | None = None,
    legend: Legend = NO_LEGEND,
) -> None:
    """Compile a QONNX file into the existing folder `out`.

    Writes dataflow.onnx (FINN's hardware graph), accelerator.json and params.npz (folded as `config` says for `board`
    and `clock_mhz`), folding.json (the same folding in FINN's form), estimate.json, vectors.npz, rungs.json and
    finn.log. If no vectors are given, they are the labelled frames of `test`, corners and noise, with the logits of
    exact execution as the reference. The accelerator carries the `legend` as far as it fits. rungs.json reports a rung
    that differs; a model that cannot be compiled raises `UserError` with file, node and position.
    """
    with finn(out / LOG):
        given, source = read(model, trusted=vectors is not None), load(model)
        network = normalize(given, config)
        wanted, config = config, _with_label(config, network)
        unranked = [UNRANKED] * (wanted.label_select > config.label_select and network.classes > 1)
        foreign = vectors is None
        if vectors is None:
            vectors = _vectors(network, config, source, test)
        _check(network, vectors, model, config)
        vectors = dataclasses.replace(vectors, frames=vectors.frames.reshape(-1, *network.frame))
        streamlined = _streamlined(network, config, model)
        theirs = lower(streamlined, config, network)
        compared = Comparison(
            source=source,
            network=network,
            config=config,
            streamlined=streamlined,
            theirs=theirs,
        )
        rungs = [*([_reference(vectors, source, network, config)] if foreign else []), *compared.rungs(vectors)]
        warnings = (*unfit_input(given, config), *unranked)
        rungs[0] = dataclasses.replace(rungs[0], warnings=warnings)
        streamlined.model.save(str(out / "dataflow.onnx"))
    result = folded(theirs.accelerator, config.fold, board or catalog.load(catalog.DEFAULT), clock_mhz)
    vectors.save(out)
    storage.save(dataclasses.replace(result, legend=_fitting(legend, result)), out)
    _write(out / "folding.json", to_finn_json(result))
    figures.save(out, figures.estimated(result))
    save_rungs(out, rungs)


def unfolded(model: Path, config: CompileConfig, log: Path) -> Accelerator:
    """The accelerator of a QONNX file that we exported, one lane a stream; writes FINN's output to `log`."""
    with finn(log):
        network = normalize(read(model, trusted=True), config)
        config = _with_label(config, network)
        return lower(_streamlined(network, config, model), config, network).accelerator


def _streamlined(network: Network, config: CompileConfig, model: Path) -> Streamlined:
    """FINN's graph; `ToolError` with FINN's own error if it fails on a network that we accept."""
    try:
        return streamline(network, config)
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ToolError(
            f"{model}: FINN failed with {type(error).__name__}: {reason}; adiabit supports these layers, so this is a "
            "bug in adiabit or in FINN; please report it with the file"
        ) from error


def _fitting(legend: Legend, accelerator: Accelerator) -> Legend:
    """The legend without names where a third party's model has other classes than the data."""
    return legend if len(legend.names) == accelerator.classes else dataclasses.replace(legend, names=())


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _vectors(network: Network, config: CompileConfig, source: ModelWrapper, test: Labelled | None) -> Vectors:
    frames = frames_for(network, config)
    labels = np.full(len(frames), -1)
    if test is not None:
        if not _fits(test[0], network):
            raise UserError(
                f"{network.file}: takes {network.features} elements a frame{_image(network)}, but frames of [data] "
                f"have {_size(test[0])}; remove [data] or name the data set of this model"
            )
        frames = np.concatenate([test[0].reshape(len(test[0]), *network.frame).astype(np.int64), frames])
        labels = np.concatenate([test[1], labels])
    found = logits(source, network, config, frames)
    return Vectors(frames=frames, labels=labels, logits=found, predictions=predicted(found))


def _with_label(config: CompileConfig, network: Network) -> CompileConfig:
    """The configuration without label selection where the sums themselves must be the result.

    They are for a single output, and where no integers have the order of the logits.
    """
    logits = edge_levels(network.output, levels_of(network, config))
    ordered = network.ranking is not None or logits.ordered
    select = config.label_select and ordered and network.classes > 1
    return config.model_copy(update={"label_select": select})


def _reference(vectors: Vectors, source: ModelWrapper, network: Network, config: CompileConfig) -> Rung:
    """The first rung of a third party's model: exact execution, and how many labels float32 sums would keep."""
    count = len(vectors.frames)
    rounded = predicted(channels_last(run_model(source, model_input(vectors.frames, network, config)), network))
    alike = int(np.sum(np.all((rounded == vectors.predictions).reshape(count, -1), axis=1)))
    return Rung(
        name=RungName.QONNX, frames=count, equal=count, accuracy=vectors.accuracy(vectors.predictions),
        compared=f"the reference, exact; in float32 the same label for {alike:,}",
    )  # fmt: skip


def _check(network: Network, vectors: Vectors, model: Path, config: CompileConfig) -> None:
    """Refuse vectors that the host cannot send."""
    frames = vectors.frames
    if not _fits(frames, network) or not len(frames):
        raise UserError(
            f"{model}: takes {network.features} elements a frame{_image(network)}, but {len(frames)} vectors of "
            f"{_size(frames)} were given; give the vectors of this model"
        )
    host = host_levels(config)
    if frames.min() < host.low or frames.max() > host.high or (host.bipolar and np.any(frames == 0)):
        raise UserError(
            f"{model}: vectors hold {frames.min()} to {frames.max()}; the host's elements range from {host.low} to "
            f"{host.high}; change input_bits or input_signed"
        )


def _fits(frames: npt.NDArray[Any], network: Network) -> bool:
    """Whether frames fit: as (H, W, C) for images of several channels, else in any shape of the right size."""
    if len(network.frame) == 3 and network.channels > 1:
        return frames.shape[1:] == network.frame
    return int(np.prod(frames.shape[1:])) == network.features


def _image(network: Network) -> str:
    return f" as (H, W, C) = {network.frame}" if len(network.frame) == 3 else ""


def _size(frames: npt.NDArray[Any]) -> str:
    shape = frames.shape[1:]
    return f"{shape}" if len(shape) == 3 else f"{int(np.prod(shape))}"
