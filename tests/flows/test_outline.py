# SPDX-License-Identifier: Apache-2.0
"""The outline of a network has the stages that the compiler makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adiabit.errors import UserError
from adiabit.flows import cli
from adiabit.flows.export import write_qonnx
from adiabit.flows.finn.stage import compile_model
from adiabit.flows.frontend.config import CompileConfig, FoldConfig
from adiabit.flows.ladder import Vectors
from adiabit.flows.outline import outline
from adiabit.hw import storage
from adiabit.hw.accelerator import Accelerator
from adiabit.hw.folding.fold import apply, foldable
from adiabit.hw.folding.pipelining import pipelined
from adiabit.hw.folding.solve import solve
from adiabit.hw.stages import Folding, MatrixVector, Stage, Stream
from adiabit.train import loop
from adiabit.train.data import Source
from adiabit.train.network import Network
from adiabit.train.quantizers import quantizers
from adiabit.train.topology import ModelConfig

IMAGE = Source((7, 8, 2), 5)
P = {"conv": 4, "pad": 1}
UNSIZED = FoldConfig(stages={}, buffers={})
MODELS: dict[str, tuple[Source, dict[str, Any]]] = {
    "dense": (Source((3, 4, 1), 10), {"widths": [6, 4]}),
    "dense, pixels": (Source((3, 4, 1), 2), {"widths": [6], "input_bits": 8}),
    "padded, pooled": (IMAGE, {"layers": [{"conv": 4, "pad": 1, "pool": 2}, {"conv": 3, "pad": [0, 1]}, {"dense": 6}]}),
    "pooled behind": (IMAGE, {"layers": [{"conv": 4, "pool": [2, 1]}, {"conv": 3, "kernel": 2}], "pool": "behind"}),
    "strided, dilated": (IMAGE, {"layers": [{"conv": 4, "stride": [1, 2], "kernel": [2, 3]},
                                            {"conv": 3, "dilation": 2, "kernel": 2}]}),
    "residual": (IMAGE, {"layers": [P, {"residual": [P, P], "repeat": 2}, {"average_pool": "global"}]}),
    "downsampled": (IMAGE, {"layers": [P, {"residual": [{"conv": 6, "pad": 1, "stride": 2}],
                                           "shortcut": [{"conv": 6, "kernel": 1, "stride": 2}]}, {"dense": 6}],
                            "first_bits": 4, "last_bits": 8}),
    "max pool, channels": (Source((8, 8, 2), 5), {"layers": [P, {"residual": [{"conv": 6, "pad": 1, "pool": 2}],
                                                  "shortcut": [{"max_pool": 2}, {"channels": 6}]}]}),
    "streams": (Source((8, 8, 2), 5), {
        "layers": [P, {"residual": [P]}, {"residual": [{"conv": 6, "pad": 1, "stride": 2}],
                                          "shortcut": [{"average_pool": 2}, {"conv": 6, "kernel": 1}]},
                   {"average_pool": "global"}], "shortcut_bits": 4}),
    "nested": (IMAGE, {"layers": [P, {"concat": [[{"residual": [{"conv": 4, "kernel": 1}]}],
                                                 [{"residual": [{"conv": 4, "kernel": 1}]}], []]},
                                  {"max_pool": 2}, {"conv": 3}, {"dense": 4}],
                       "shortcut_bits": 3, "rprelu": True, "preactivation": "norm"}),
    "dense blocks": (IMAGE, {"layers": [P, {"concat": [[], [{"conv": 2, "pad": 1}]], "repeat": 3}, {"dense": 4}]}),
    "1 x 1": (IMAGE, {"layers": [{"conv": 4, "kernel": 1}, {"conv": 3, "kernel": 1, "stride": 2}]}),
}  # fmt: skip


def shown(stage: Stage) -> Any:
    """What the outline must have in common with the accelerator; accumulators depend on the weights."""

    def ends(streams: tuple[Stream, ...]) -> list[Any]:
        sums = isinstance(stage, MatrixVector) and stage.thresholds is None
        return [(s.name, s.shape, None if sums else (s.bits, s.kind)) for s in streams]

    return type(stage), stage.name, ends(stage.outputs), stage.fields()


def serial(accelerator: Accelerator) -> Accelerator:
    """At one lane everywhere, so that no converter is in between, and a level between registers."""
    return apply(pipelined(accelerator, 500, 5.0, 0.0), {stage.name: Folding() for stage in foldable(accelerator)})


@pytest.mark.parametrize("name", MODELS)
def test_an_outline_has_the_stages_of_the_compiled_network(name: str, tmp_path: Path) -> None:
    source, table = MODELS[name]
    model = ModelConfig.model_validate({"topology": "free", **table})
    frame = model.frame(source.shape)
    net = Network(model, "ste", frame=frame, classes=source.classes)
    for quantizer in quantizers(net):
        quantizer.hard = True
    write_qonnx(net.eval(), frame, tmp_path / "net.onnx")
    zeros = np.zeros((1, source.classes))
    frames = np.zeros((1, *frame), np.uint8)
    vectors = Vectors(frames=frames, labels=np.array([-1]), logits=zeros, predictions=np.array([0]))
    compile_model(tmp_path / "net.onnx", vectors, tmp_path, CompileConfig(fold=UNSIZED))
    made, drawn = (serial(a) for a in (storage.load(tmp_path), outline(model, source, CompileConfig())))
    assert [shown(s) for s in drawn.stages] == [shown(s) for s in made.stages]


def test_an_outline_folds_as_any_accelerator() -> None:
    drawn = outline(ModelConfig(topology="cnv"), Source((32, 32, 3), 10), CompileConfig())
    assert isinstance(drawn, Accelerator)
    assert solve(drawn, fps=100, clock_hz=1e8).cycles <= 1e6


@pytest.mark.parametrize(
    ("fold", "told"),
    [
        ("fps = 1e9", r"fps=1e\+09 leaves 0 cycles .* at most fps=\d+ can be reached, and compile.fold.fps=\d+ is the "
                      "most that fits pynq-z2"),
        ("luts = 9", "luts=9 is too few; the smallest folding takes about"),
        ("stages.fc7 = { pe = 1 }", "fc7: unknown stage"),
        ("stages.fc0 = { pe = 3 }", "fc0: pe=3 does not divide 64"),
        ("fps = 9\nbuffers = { nosuch = 4 }", r"nosuch: no stream between two stages; there are \[.*'fc0_out'.*\]$"),
        ("buffers = { fc0_out = 1 }", r"\[compile.fold.buffers\]: must be 'full-rate', 'least', or depths of 2 to"),
        ('buffers = "fast"', r"buffers = 'fast': must be 'full-rate', 'least', or depths of 2 to 1048576 by stream"),
        ('finn_json = "gone.json"', "gone.json: No such file or directory"),
    ],
)  # fmt: skip
def test_a_folding_that_cannot_be_is_refused_before_training(
    fold: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(loop, "fit", never)
    (tmp_path / "net.toml").write_text(f"[compile.fold]\n{fold}\n")
    assert cli.main(["run", str(tmp_path / "net.toml"), "--out", str(tmp_path / "out")]) == 2
    with pytest.raises(UserError, match=told):
        raise UserError(capsys.readouterr().err)


def test_a_network_that_fits_no_folding_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.toml").write_text('[model]\ntopology = "lfc"\n[target]\nboard = "tang-nano-20k"\n')
    assert cli.main(["train", str(tmp_path / "net.toml"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "adiabit: folding: even the smallest folding needs about 34,320 luts (of 20,736) on Tang Nano 20K; choose a "
        "larger board (target.board) or a smaller network\n"
    )
