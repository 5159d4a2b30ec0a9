# SPDX-License-Identifier: Apache-2.0
"""What FINN's own builder goes on with: its files name FINN's layers, and FINN takes them as far as it goes here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from adiabit.boards import catalog
from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.finn.finn_setup import finn
from adiabit.flows.finn.handover import STEPS, hand_over
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig
from adiabit.hw import storage
from adiabit.hw.stages import MatrixVector

PART = "xc7z020clg400-1"


def signs(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(list(shape)).choice([-1.0, 1.0], shape)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, net: Callable[..., Any]) -> Path:
    """8 x 8 colour pixels: two convolutions, a pad of -1, a pool, flattened to two dense layers."""
    chain = net(1, 3, 8, 8).conv(signs(8, 3, 3, 3)).sign().max_pool((2, 2)).pad([0, 0, 1, 1, 0, 0, 1, 1], -1.0)
    chain.conv(signs(128, 8, 3, 3)).sign().op("Flatten").dense(signs(16, 1152)).sign().dense(signs(4, 16))
    path: Path = chain.save(tmp_path_factory.mktemp("model") / "net.onnx")
    return path


@pytest.fixture(scope="module")
def compiled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    compile_model(model, None, folder, CompileConfig.model_validate({"fold": {"stages": {"fc0": {}}}}))
    return folder


@pytest.fixture(scope="module")
def handed(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed") / "deep" / "finn"
    assert hand_over(compiled, catalog.load("pynq-z2"), 100.0, folder) == [
        "MVAU_hls_2: SIMD 1 to 2: FINN needs SIMD >= MW / 1024"
    ]
    return folder


def test_the_folder_holds_model_configuration_and_sources(handed: Path) -> None:
    assert sorted(p.name for p in handed.iterdir()) == [
        "README.md", "build.yaml", "dataflow.onnx", "finn.log", "folding.json", "sources", "specialize_layers.json",
    ]  # fmt: skip
    layers = set(json.loads((handed / "folding.json").read_text())) - {"Defaults"}
    assert {p.name for p in (handed / "sources").iterdir()} == layers
    assert "MVAU_hls_2: SIMD 1 to 2" in (handed / "README.md").read_text()
    top = (handed / "sources" / "MVAU_hls_2" / "top_MVAU_hls_2.cpp").read_text()
    assert "#define SIMD1 2\n" in top
    assert list((handed / "sources" / "ConvolutionInputGenerator_rtl_0").glob("*_impl.sv"))
    assert [p.name for p in handed.parent.iterdir()] == ["finn"]


def test_finn_reads_its_build_configuration(handed: Path) -> None:
    from finn.builder.build_dataflow_config import DataflowBuildConfig, default_build_dataflow_steps

    with finn(handed.parent.parent / "log"):
        config = DataflowBuildConfig.construct_from(handed / "build.yaml")
        assert config._resolve_fpga_part() == PART
    assert config.folding_config_file == handed / "folding.json"
    assert config.specialize_layers_config_file == handed / "specialize_layers.json"
    assert config.minimize_bit_width is False
    assert tuple(config.steps or ()) == STEPS
    assert [s for s in default_build_dataflow_steps if s in STEPS] == list(STEPS), "in FINN's own order"


def test_finn_partitions_specializes_and_folds_it_as_its_steps_do(handed: Path, tmp_path: Path) -> None:
    with finn(tmp_path / "log"):
        from finn.analysis.fpgadataflow.exp_cycles_per_layer import exp_cycles_per_layer
        from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition
        from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
        from finn.transformation.general import ApplyConfig

        model = ModelWrapper(str(handed / "dataflow.onnx"))
        parent = model.transform(CreateDataflowPartition())
        (node,) = parent.graph.node  # nothing stays on the host
        child = ModelWrapper(getCustomOp(node).get_nodeattr("model")).transform(GiveUniqueNodeNames())
        styles = ApplyConfig(handed / "specialize_layers.json")
        child = child.transform(styles).transform(SpecializeLayers(PART)).transform(GiveUniqueNodeNames())
        folding = ApplyConfig(handed / "folding.json")
        child = child.transform(folding)
        assert (styles.missing_configurations, folding.missing_configurations) == ([], [])
        assert {n.name for n in child.graph.node} == set(folding.used_configurations) - {"Defaults"}
        cycles = child.analysis(exp_cycles_per_layer)
    folding_document = json.loads((handed / "folding.json").read_text())
    for k, (mh, mw, vectors) in enumerate([(8, 27, 36), (128, 72, 9), (16, 1152, 1), (4, 16, 1)]):
        chosen = folding_document[f"MVAU_hls_{k}"]
        assert cycles[f"MVAU_hls_{k}"] == mh // chosen["PE"] * (mw // chosen["SIMD"]) * vectors


def test_a_board_that_finn_does_not_know_is_given_by_its_part(compiled: Path, tmp_path: Path) -> None:
    board = dataclasses.replace(catalog.load("zcu104"), name="mine")
    hand_over(compiled, board, 200.0, tmp_path / "finn")
    from finn.builder.build_dataflow_config import DataflowBuildConfig

    config = DataflowBuildConfig.construct_from(tmp_path / "finn" / "build.yaml")
    assert (config.board, config.fpga_part) == (None, "xczu7ev-ffvc1156-2-e")
    assert config.synth_clk_period_ns == 5
    assert [kind.value for kind in config.generate_outputs] == ["estimate_reports", "stitched_ip"]


def test_a_pad_that_finn_cannot_write_is_refused(net: Callable[..., Any], tmp_path: Path) -> None:
    chain = net(1, 3, 6, 6).conv(signs(4, 3, 3, 3)).sign().pad([0, 0, 1, 1, 0, 0, 1, 1], 1.0)
    path = chain.conv(signs(4, 4, 3, 3)).sign().op("Flatten").dense(signs(3, 64)).save(tmp_path / "one.onnx")
    (tmp_path / "out").mkdir()
    compile_model(path, None, tmp_path / "out", CompileConfig())
    with pytest.raises(UserError) as caught:
        hand_over(tmp_path / "out", catalog.load("pynq-z2"), 100.0, tmp_path / "finn")
    assert str(caught.value) == (
        "stage pad0: pads with +1; FINN can only pad with the code 0, which is -1 here; train the network with that "
        "padding"
    )
    assert not (tmp_path / "finn").exists()


def residual(net: Callable[..., Any], folder: Path, *, shortcut: int) -> Path:
    """A compiled network with a shortcut of so many bits."""
    chain = net(1, 2, 6, 6).conv(signs(4, 2, 3, 3))
    quantize = chain.sign if shortcut == 1 else lambda: chain.quant(shortcut, 8.0, signed=1)
    left = quantize().tensor
    chain.sign().pad([0, 0, 1, 1, 0, 0, 1, 1], -1.0).conv(signs(4, 4, 3, 3))
    if shortcut > 1:
        quantize()
    chain.node("Add", [chain.tensor, left])
    quantize()
    chain.conv(signs(6, 4, 1, 1)).sign().op("Flatten").dense(signs(3, 96))
    folder.mkdir()
    compile_model(chain.save(folder / "net.onnx"), None, folder, CompileConfig.model_validate({"fold": {"fps": 1e6}}))
    return folder


def test_a_residual_network_is_folded_layer_by_layer(net: Callable[..., Any], tmp_path: Path) -> None:
    compiled = residual(net, tmp_path / "compiled", shortcut=8)  # for which selected thresholds would be dear
    hand_over(compiled, catalog.load("pynq-z2"), 100.0, tmp_path / "finn")
    folding = json.loads((tmp_path / "finn" / "folding.json").read_text())
    model = ModelWrapper(str(tmp_path / "finn" / "dataflow.onnx"))
    stages = iter([s for s in storage.load(compiled).stages if isinstance(s, MatrixVector)])
    for node in model.get_nodes_by_op_type("MVAU"):
        stage, op = next(stages), getCustomOp(node)
        assert stage.weights.shape == (op.get_nodeattr("MH"), op.get_nodeattr("MW"))
        name = node.name.replace("MVAU", "MVAU_hls")
        assert (folding[name]["PE"], folding[name]["SIMD"]) == (stage.folding.pe, stage.folding.simd)
    for kind in ("DuplicateStreams_hls_0", "ElementwiseAdd_hls_0"):
        assert (tmp_path / "finn" / "sources" / kind).is_dir()
        assert 4 % folding[kind]["PE"] == 0


def test_thresholds_that_a_shortcut_selects_are_refused(net: Callable[..., Any], tmp_path: Path) -> None:
    compiled = residual(net, tmp_path / "compiled", shortcut=1)
    with pytest.raises(
        UserError, match=r"^stage \w+: a shortcut selects its thresholds; FINN has no such layer; use our back ends$"
    ):
        hand_over(compiled, catalog.load("pynq-z2"), 100.0, tmp_path / "finn")


def test_a_folder_that_holds_something_is_left_alone(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError) as caught:
        hand_over(compiled, catalog.load("pynq-z2"), 100.0, tmp_path)
    assert str(caught.value) == f"{tmp_path}: exists and is not empty; --for-finn needs a new folder; give another"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_place_where_no_folder_can_be_made_is_told(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"file/finn: cannot make this folder \(.*\); --for-finn needs a new folder; give another$"
    ):
        hand_over(compiled, catalog.load("pynq-z2"), 100.0, tmp_path / "file" / "finn")


def test_the_command_line_hands_over(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", str(model), "--out", str(tmp_path / "out"), "--for-finn", str(tmp_path / "finn")]
    assert cli.main([*command, "--set", "compile.fold.stages.fc0={}"]) == 0
    *_, compiled, change, place = capsys.readouterr().out.splitlines()
    assert "compile-" in compiled
    assert change == "for FINN, MVAU_hls_2: SIMD 1 to 2: FINN needs SIMD >= MW / 1024"
    assert place == str(tmp_path / "finn")
