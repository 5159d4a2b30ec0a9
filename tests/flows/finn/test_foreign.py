# SPDX-License-Identifier: Apache-2.0
"""Networks by others, in plain Brevitas, are equal at every rung, HLS and RTL included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows.finn.folding_json import from_finn_json, to_finn_json
from adiabit.flows.finn.handover import hand_over
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.ladder import Vectors, load_rungs
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.fold import apply, folding_of
from adiabit.hw.stages import Affine, Folding, GroupedMatrixVector, LabelSelect, MatrixVector
from tests.flows.finn.foreign_models import MODELS, export, export_channels_last, export_finn, export_qdq, write
from tests.flows.finn.foreign_networks import networks
from tests.flows.finn.test_residual import simulated
from tests.hw.test_random import drawn

LARGE = [name for name in MODELS if name.startswith(("tfc", "sfc", "lfc", "cnv"))]
SMALL = [name for name in MODELS if name not in LARGE]
BATCHES = 2  # two workers share them
SERIAL = FoldConfig(stages={})


def compiled(name: str, folder: Path, *, label_select: bool = True) -> Accelerator:
    """The accelerator of a model of the table."""
    folder.mkdir(exist_ok=True)
    return of_file(export(name, folder / "net.onnx"), label_select=label_select)


def of_file(path: Path, *, label_select: bool = True, lively: bool = True, fold: FoldConfig = SERIAL) -> Accelerator:
    """The accelerator of a model; its rungs are equal, and its logits differ from frame to frame if it is `lively`."""
    folder, name = path.parent, path.parent.name
    compile_model(path, None, folder, CompileConfig(fold=fold, label_select=label_select))
    rungs = [(r.name, r.status) for r in load_rungs(folder)]
    assert rungs == [("QONNX", "equal"), ("FINN graph", "equal"), ("golden", "equal")], name
    logits = Vectors.load(folder).logits
    assert not lively or len(np.unique(logits.reshape(len(logits), -1), axis=0)) > 9, name
    return storage.load(folder)


def random_networks(count: int, number: int, folder: Path) -> None:
    """So many random networks agree at every rung, HLS and RTL included."""
    torch.manual_seed(number)
    accelerators = []
    for k, (shape, net) in enumerate(drawn(networks(), count, number)):
        (folder / str(k)).mkdir()
        accelerators.append(of_file(write(net, shape, folder / str(k) / "net.onnx", k), lively=False))
    simulated(accelerators, folder)


def agree(names: list[str], folder: Path) -> None:
    simulated([compiled(name, folder / name) for name in names], folder)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_models_by_others(batch: int, tmp_path: Path) -> None:
    agree(SMALL[batch::BATCHES], tmp_path)


def test_random_networks(tmp_path: Path) -> None:
    random_networks(8, 1, tmp_path)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(2, 22))
def test_two_hundred_random_networks(number: int, tmp_path: Path) -> None:
    random_networks(10, number, tmp_path)


@pytest.mark.parametrize("input_last", [False, True])
@pytest.mark.parametrize("name", ["separable", "audio"])
def test_channels_last(name: str, input_last: bool, tmp_path: Path) -> None:
    """The form with channels last is the same accelerator."""
    for which in ("first", "last"):
        (tmp_path / which).mkdir()
    first = compiled(name, tmp_path / "first")
    last = of_file(export_channels_last(name, tmp_path / "last" / "net.onnx", input_last=input_last))
    assert last == first


def test_depthwise_products_are_finns_vvau(tmp_path: Path) -> None:
    accelerator = compiled("separable", tmp_path / "net")
    depthwise = [s for s in accelerator.stages if isinstance(s, GroupedMatrixVector)]
    kinds = [node.op_type for node in onnx.load(tmp_path / "net" / "dataflow.onnx").graph.node]
    assert kinds.count("VVAU") == len(depthwise) > 0
    assert kinds.count("MVAU") == sum(isinstance(s, MatrixVector) for s in accelerator.stages)

    window = accelerator.producers[depthwise[0].input.name]
    folded = apply(accelerator, {depthwise[0].name: Folding(pe=4, simd=4), window.name: Folding(pe=2)})
    document = to_finn_json(folded)
    assert document["VVAU_hls_0"] == {"PE": 4, "SIMD": 1, "ram_style": "auto"}
    assert document["ConvolutionInputGenerator_rtl_1"]["SIMD"] == 4  # FINN's depthwise windows
    assert folding_of(apply(accelerator, from_finn_json(accelerator, document)))[depthwise[0].name] == Folding(
        pe=4, simd=4
    )
    with pytest.raises(UserError, match=r"folding: \w+: SIMD=3; a depthwise layer takes one pixel"):
        from_finn_json(accelerator, {"VVAU_hls_0": {"PE": 4, "SIMD": 3}})

    (change,) = hand_over(tmp_path / "net", catalog.load("pynq-z2"), 100.0, tmp_path / "finn")
    assert change == "the sums come out: classes have factors or addends of their own, so the host ranks them"
    assert (tmp_path / "finn" / "sources" / "VVAU_hls_0").is_dir()


def test_depthwise_products_of_one_pixel_are_finns_vvau_without_windows(tmp_path: Path) -> None:
    accelerator = compiled("scaled_channels", tmp_path / "net")
    kinds = [node.op_type for node in onnx.load(tmp_path / "net" / "dataflow.onnx").graph.node]
    assert kinds.count("VVAU") == sum(isinstance(s, GroupedMatrixVector) for s in accelerator.stages) == 1
    assert "ConvolutionInputGenerator" not in kinds


def test_depthwise_products_before_signs_are_matrices_in_finns_graph(tmp_path: Path) -> None:
    accelerator = compiled("binary_grouped", tmp_path / "net")
    assert sum(isinstance(s, GroupedMatrixVector) for s in accelerator.stages) == 3
    kinds = [node.op_type for node in onnx.load(tmp_path / "net" / "dataflow.onnx").graph.node]
    assert kinds.count("MVAU") == 4
    assert "VVAU" not in kinds
    assert "MVAU_hls_3" in to_finn_json(accelerator)


def test_finn_onnx(tmp_path: Path) -> None:
    """Models after FINN's ConvertQONNXtoFINN."""
    accelerators = []
    for name in ("bias", "hardtanh", "segmentation", "tiny_w1a3", "audio", "binary_grouped"):
        (tmp_path / name).mkdir()
        accelerators.append(of_file(export_finn(name, tmp_path / name / "net.onnx")))
    simulated(accelerators, tmp_path)


def test_onnx_with_quantize_linear(tmp_path: Path) -> None:
    accelerator = of_file(export_qdq(tmp_path / "net.onnx"))
    assert [s.weight_bits for s in accelerator.stages if isinstance(s, MatrixVector)] == [4, 4]


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", LARGE)
def test_large_models_by_others(name: str, tmp_path: Path) -> None:
    fold = FoldConfig(fps=500 if name.startswith("cnv") else 20_000)
    simulated([of_file(export(name, tmp_path / "net.onnx"), fold=fold)], tmp_path)


def test_classes_with_biases_are_ranked_by_integers(tmp_path: Path) -> None:
    *_, scores, label = compiled("bias", tmp_path).stages
    assert isinstance(scores, Affine)
    assert isinstance(label, LabelSelect)
    assert scores.shift == 4  # twice the popcount, and the ranks of five fractions below
    assert len(set(scores.addends.tolist())) == 5


def test_a_segmentation_has_a_label_for_each_pixel(tmp_path: Path) -> None:
    accelerator = compiled("segmentation_labels", tmp_path)
    assert accelerator.output.shape == (8, 8, 1)
    vectors = Vectors.load(tmp_path)
    assert vectors.logits.shape == (len(vectors.frames), 8, 8, 4)
    np.testing.assert_array_equal(vectors.predictions, vectors.logits.reshape(-1, 64, 4).argmax(axis=2))
    assert len(np.unique(vectors.predictions)) == 4


def test_sums_come_out_where_no_label_is_wanted(tmp_path: Path) -> None:
    assert compiled("segmentation", tmp_path, label_select=False).output.shape == (8, 8, 4)
