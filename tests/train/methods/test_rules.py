# SPDX-License-Identifier: Apache-2.0
"""Each method's forward, backward and update against its formula: values by hand, or by autograd on the closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adiabit.train.layers import BinaryConv2d, BinaryLinear
from adiabit.train.method import Method, method
from adiabit.train.methods import METHODS
from adiabit.train.methods.abc_net.rules import BaseQuantizer, ShiftedStepQuantizer
from adiabit.train.methods.binaryconnect.rules import PassingQuantizer, glorot
from adiabit.train.methods.bireal.rules import ApproxSignQuantizer, MagnitudeQuantizer
from adiabit.train.methods.bnew import Bnew
from adiabit.train.methods.bnew.rules import BnewSchedule, PushedQuantizer
from adiabit.train.methods.bnn_plus import BnnPlus
from adiabit.train.methods.bnn_plus.rules import ScaledSwishQuantizer, SignSwishQuantizer
from adiabit.train.methods.bop import Bop
from adiabit.train.methods.bop.rules import BopOptimizer
from adiabit.train.methods.dorefa.rules import MeanScaledQuantizer, RoundingQuantizer
from adiabit.train.methods.ir_net.rules import DecayQuantizer, LibraQuantizer
from adiabit.train.methods.mirror_descent import MirrorDescent
from adiabit.train.methods.mirror_descent.rules import MirrorQuantizer
from adiabit.train.methods.reactnet.rules import RSignQuantizer, SecondStepQuantizer
from adiabit.train.methods.xnor_net.rules import ApproximationQuantizer
from adiabit.train.network import Network
from adiabit.train.quantizers import BipolarQuantizer, set_quantizers
from adiabit.train.topology import ModelConfig

POINTS = [-1.5, -1.0, -0.75, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5]
SIGNS = [-1.0] * 4 + [1.0] * 5
ROWS = torch.tensor([[0.5, -0.25, 1.5], [-1.0, 0.0, -0.5]])
ROW_SIGNS = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
GRADIENT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


def through(quantizer: BipolarQuantizer, x: Tensor, gradient: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Value, and the gradient that arrives at x."""
    x = x.clone().requires_grad_()
    y = quantizer.quantize(x)
    y.backward(torch.ones_like(y) if gradient is None else gradient)
    assert x.grad is not None
    return y.detach(), x.grad


def true_slope(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """By autograd, in double."""
    x = x.double().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0].float()


@pytest.mark.parametrize("table", METHODS)
def test_a_table_builds_its_method(table: Any) -> None:
    assert method(table().name).table == table()


@pytest.mark.parametrize("table", METHODS)
def test_a_method_without_hardware_says_why(table: Any) -> None:
    rule = method(table())
    assert rule.has_hardware == (rule.binary_weights and rule.binary_activations)


# BinaryConnect, BinaryNet


def test_binaryconnect_passes_every_gradient() -> None:
    y, slope = through(PassingQuantizer(), torch.tensor(POINTS))
    assert y.tolist() == SIGNS
    assert slope.tolist() == [1.0] * 9


def test_stochastic_signs_are_drawn_by_the_hard_sigmoid_while_training_alone() -> None:
    torch.manual_seed(0)
    quantizer = PassingQuantizer(stochastic=True)
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.8, 1.0]).repeat(100_000, 1)
    y, slope = through(quantizer, x)
    assert set(y.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close((y == 1).float().mean(0), torch.tensor([0, 0, 0.25, 0.5, 0.9, 1]), atol=0.01, rtol=0)
    assert slope.eq(1).all()
    quantizer.eval()
    assert quantizer.quantize(x[0]).tolist() == [-1, -1, -1, 1, 1, 1]


def test_glorot_counts_the_kernels_pixels() -> None:
    assert glorot(torch.zeros(64, 784)) == pytest.approx(math.sqrt(848 / 1.5))
    assert glorot(torch.zeros(32, 16, 3, 5)) == pytest.approx(math.sqrt(48 * 15 / 1.5))


@pytest.mark.parametrize("name", ["binaryconnect", "binarynet"])
def test_latent_weights_are_clipped_and_learn_at_their_own_rate(name: str) -> None:
    net = network(name)
    rule = net.method
    optimizer = rule.optimizer(net, "adamw", 0.001, 0.0)
    weights = [group for group in optimizer.param_groups if "rate" in group]
    assert [g["rate"] for g in weights] == [glorot(g["params"][0]) for g in weights]
    assert len(weights) == 3
    first = weights[0]["params"][0]
    with torch.no_grad():
        first[0, :3] = torch.tensor([1.7, -3.0, 0.4])
    rule.after_step(net, 0.001, rule.schedule())
    torch.testing.assert_close(first[0, :3], torch.tensor([1.0, -1.0, 0.4]))


# Bi-Real


def test_bireal_has_the_quadratics_slope() -> None:
    y, slope = through(ApproxSignQuantizer(), torch.tensor(POINTS))
    assert y.tolist() == SIGNS
    assert slope.tolist() == [0, 0, 0.5, 1.5, 2.0, 1.5, 1.0, 0, 0]


def test_bireal_weights_know_their_magnitude() -> None:
    y, gradient = through(MagnitudeQuantizer(whole=False), ROWS, GRADIENT)
    scale = torch.tensor([[0.75], [0.5]])  # mean |w| of the rows
    torch.testing.assert_close(y, scale * ROW_SIGNS)
    torch.testing.assert_close(gradient, scale * GRADIENT * torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    torch.testing.assert_close(MagnitudeQuantizer(whole=True).quantize(ROWS), 0.625 * ROW_SIGNS)


# BNN+


@pytest.mark.parametrize("beta", [1.0, 5.0, 10.0])
def test_signswish_slope_is_the_derivative_of_signswish(beta: float) -> None:
    def sign_swish(x: Tensor) -> Tensor:
        s = torch.sigmoid(beta * x)
        return 2 * s * (1 + beta * x * (1 - s)) - 1

    y, slope = through(SignSwishQuantizer("activation", beta), torch.tensor(POINTS))
    assert y.tolist() == SIGNS
    torch.testing.assert_close(slope, true_slope(sign_swish, torch.tensor(POINTS)), atol=1e-5, rtol=1e-5)
    _, far = through(SignSwishQuantizer("activation", beta), torch.tensor([-1e4, 1e4]))
    assert far.tolist() == [0, 0]


def test_bnn_plus_learns_a_scale_a_filter() -> None:
    quantizer = ScaledSwishQuantizer(5.0, 2)
    with torch.no_grad():
        quantizer.alpha.copy_(torch.tensor([0.5, 2.0]))
    y, gradient = through(quantizer, ROWS, GRADIENT)
    torch.testing.assert_close(y, torch.tensor([[0.5], [2.0]]) * ROW_SIGNS)
    _, plain = through(SignSwishQuantizer("weight", 5.0), ROWS, GRADIENT)
    torch.testing.assert_close(gradient, torch.tensor([[0.5], [2.0]]) * plain)
    torch.testing.assert_close(quantizer.alpha.grad, (GRADIENT * ROW_SIGNS).sum(1))  # [6.0, 4.5]


@pytest.mark.parametrize(("regularizer", "start", "value"), [("R1", 0.5, 1.25), ("R2", 0.75, 0.0625 + 0.25 + 0.5625)])
def test_bnn_plus_draws_weights_to_the_scale(regularizer: Any, start: float, value: float) -> None:
    """|w| = 0.5, 0.25, 1.5: median 0.5, mean 0.75."""
    net = network(BnnPlus(regularizer=regularizer, strength=0.1), widths=(1,), inputs=3, classes=1)
    first, last = products(net)
    with torch.no_grad():
        first.weight.copy_(ROWS[:1])
        last.weight.fill_(0.5)
    net.method.start(net)
    assert (first.quantizer.alpha.tolist(), last.quantizer.alpha.tolist()) == ([start], [0.5])
    penalty = net.method.penalty(net)
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.1 * value)
    assert method(BnnPlus(regularizer="none")).penalty(net) is None


# XNOR-Net, DoReFa, ABC-Net


def test_xnor_net_has_the_papers_gradient() -> None:
    y, gradient = through(ApproximationQuantizer(whole=False), ROWS, GRADIENT)
    torch.testing.assert_close(y, torch.tensor([[0.75], [0.5]]) * ROW_SIGNS)
    first = [1 * (1 / 3 + 0.75), -2 * (1 / 3 + 0.75), 3 * (1 / 3)]
    second = [0.5 * (1 / 3 + 0.5), 4 * (1 / 3 + 0.5), -1 * (1 / 3 + 0.5)]
    torch.testing.assert_close(gradient, torch.tensor([first, second]))
    y, gradient = through(ApproximationQuantizer(whole=True), ROWS, GRADIENT)
    torch.testing.assert_close(y, 0.625 * ROW_SIGNS)
    assert float(gradient[0, 0]) == pytest.approx(1 / 6 + 0.625)


def test_dorefa_scales_by_the_layers_mean_and_rounds_activations() -> None:
    y, gradient = through(MeanScaledQuantizer(), ROWS, GRADIENT)
    torch.testing.assert_close(y, 0.625 * ROW_SIGNS)
    assert torch.equal(gradient, GRADIENT)
    y, slope = through(RoundingQuantizer(), torch.tensor([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25]))
    assert y.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    assert slope.tolist() == [0, 2, 2, 2, 2, 2, 0]


def test_abc_net_takes_signs_about_the_mean_and_the_least_squares_scale() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # mean 3
    base = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    y, gradient = through(BaseQuantizer(), weights, GRADIENT[:, :2])
    scale = 6 / 4
    torch.testing.assert_close(y, scale * base)
    torch.testing.assert_close(gradient, scale * GRADIENT[:, :2])
    errors = [float(((weights - a * base) ** 2).sum()) for a in (scale - 0.01, scale, scale + 0.01)]
    assert errors[1] == min(errors)


def test_abc_net_learns_where_activations_turn() -> None:
    quantizer = ShiftedStepQuantizer()
    with torch.no_grad():
        quantizer.v.fill_(0.25)
    y, slope = through(quantizer, torch.tensor([-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0]))
    assert y.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    assert slope.tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert quantizer.v.grad is not None
    assert quantizer.v.grad.tolist() == [5.0]


# IR-Net


@pytest.mark.parametrize(("t", "k"), [(0.01, 100.0), (0.5, 2.0), (1.0, 1.0), (10.0, 1.0)])
def test_the_estimator_whose_error_decays(t: float, k: float) -> None:
    quantizer = DecayQuantizer("activation")
    quantizer.t = t
    y, slope = through(quantizer, torch.tensor(POINTS))
    assert y.tolist() == SIGNS
    torch.testing.assert_close(slope, torch.tensor([k * t / math.cosh(t * x) ** 2 for x in POINTS]))


def test_t_goes_geometrically_through_the_epochs() -> None:
    schedule = method("ir-net").schedule()
    seen = []
    for share in (0.0, 1 / 3, 0.5, 1.0):
        schedule.at(share, 0)
        assert schedule.settings["weight"] == schedule.settings["activation"]
        seen.append(schedule.settings["weight"]["t"])
    assert seen == pytest.approx([0.01, 0.1, 10**-0.5, 10.0])


def test_libra_balances_standardizes_and_shifts() -> None:
    weights = torch.tensor([[1.0, 2.0, 3.0, 6.0], [-1.0, -1.0, 1.0, 1.0]])
    quantizer = LibraQuantizer(whole=False)
    quantizer.t = 1.0
    y, gradient = through(quantizer, weights, torch.ones(2, 4))
    deviation = math.sqrt((4 + 1 + 0 + 9) / 3)  # about the mean 3; mean |w^| = 6 / 4 / 2.16 = 0.69 is nearest to 2**-1
    assert round(math.log2(1.5 / deviation)) == -1
    assert y.tolist() == [[-0.5, -0.5, 0.5, 0.5], [-1.0, -1.0, 1.0, 1.0]]  # sqrt(3) / 2 = 0.87 is nearest to 2**0

    def closed(w: Tensor) -> Tensor:
        standard = (w - w.mean(1, keepdim=True)) / w.std(1, keepdim=True)
        return torch.tensor([[0.5], [1.0]]) * torch.tanh(standard)

    torch.testing.assert_close(gradient, true_slope(closed, weights), atol=1e-6, rtol=1e-5)


# mirror descent, Bop, BNEW, ReActNet


def test_mirror_descent_updates_the_dual_without_tanhs_slope() -> None:
    quantizer = MirrorQuantizer()
    quantizer.beta = 2.0
    y, slope = through(quantizer, torch.tensor(POINTS))
    torch.testing.assert_close(y, torch.tensor([math.tanh(2 * x) for x in POINTS]))
    assert slope.tolist() == [1.0] * 9
    quantizer.hard = True
    assert quantizer.quantize(torch.tensor(POINTS)).tolist() == SIGNS


def test_beta_grows_by_the_steps() -> None:
    schedule = method(MirrorDescent(beta=2.0, growth=1.5, interval=10)).schedule()
    seen = []
    for step in (0, 9, 10, 25):
        schedule.at(0.5, step)
        seen.append(schedule.settings["weight"]["beta"])
    assert seen == [2.0, 2.0, 3.0, 4.5]


def test_bop_flips_what_the_averaged_gradient_agrees_with() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0]))
    other = torch.nn.Parameter(torch.tensor([1.0]))
    groups = [{"params": [weight], "gamma": 0.5, "threshold": 0.2}, {"params": [other], "gamma": 0.0, "threshold": 0.0}]
    optimizer = BopOptimizer(groups, lr=0.1, weight_decay=0.0)
    weight.grad, other.grad = torch.tensor([1.0, -1.0, -1.0, 1.0, 0.3]), torch.tensor([2.0])
    optimizer.step()
    assert weight.tolist() == [-1.0, 1.0, 1.0, -1.0, 1.0]  # |m| = 0.15 of the last is below the threshold
    torch.testing.assert_close(optimizer.state[weight]["momentum"], torch.tensor([0.5, -0.5, -0.5, 0.5, 0.15]))
    assert other.item() == pytest.approx(0.9)  # Adam's first step is the learning rate
    weight.grad = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.4])
    optimizer.step()
    torch.testing.assert_close(optimizer.state[weight]["momentum"], torch.tensor([0.25, -0.25, -0.25, 0.25, 0.275]))
    assert weight.tolist() == [-1.0, 1.0, 1.0, -1.0, -1.0]


def test_bops_gamma_decays_and_its_weights_begin_binary() -> None:
    net = network(Bop(gamma=0.1, gamma_decay=0.5, gamma_every=3))
    net.method.start(net)
    assert all(set(m.weight.unique().tolist()) == {-1.0, 1.0} for m in net if isinstance(m, BinaryLinear))
    optimizer = net.method.optimizer(net, "adamw", 0.01, 1.0)
    seen = []
    for epoch in (0, 2, 3, 7):
        net.method.before_step(optimizer, epoch)
        seen.append(optimizer.param_groups[0]["gamma"])
    assert seen == pytest.approx([0.1, 0.1, 0.05, 0.025])
    assert optimizer.param_groups[1]["gamma"] == 0


def test_bnew_pushes_weights_outwards_until_they_are_locked() -> None:
    table = Bnew(strength=0.5, push_from=0.2, lock=0.6)
    net = network(table)
    schedule = net.method.schedule()
    assert isinstance(schedule, BnewSchedule)
    weight = products(net)[0].weight
    for share, strength, expected in ((0.1, 0.0, 0.5), (0.4, 0.25, 0.525), (0.6, 0.5, 0.5)):
        with torch.no_grad():
            weight.fill_(0.5)[0, 0] = -0.99
        schedule.at(share, 0)
        assert schedule.strength == pytest.approx(strength)
        net.method.after_step(net, 0.1, schedule)
        assert weight[1, 1].item() == pytest.approx(expected)
        assert weight[0, 0].item() == pytest.approx(max(-1, -0.99 * expected / 0.5))
        assert schedule.settings == {"weight": {"locked": share == 0.6}}


def test_bnews_weights_are_real_until_they_are_locked() -> None:
    quantizer = PushedQuantizer()
    y, gradient = through(quantizer, ROWS, GRADIENT)
    assert torch.equal(y, ROWS)
    assert torch.equal(gradient, GRADIENT)
    quantizer.locked = True
    locked = quantizer.quantize(ROWS.clone().requires_grad_())
    assert torch.equal(locked, ROW_SIGNS)
    assert not locked.requires_grad


def test_reactnet_learns_a_threshold_a_channel() -> None:
    quantizer = RSignQuantizer(2)
    with torch.no_grad():
        quantizer.b.copy_(torch.tensor([0.5, -0.5]))
    x = torch.tensor([[-0.25, 0.25], [-0.75, 0.5]])
    y, slope = through(quantizer, x)
    assert y.tolist() == [[1.0, -1.0], [-1.0, 1.0]]
    assert slope.tolist() == [[1.5, 1.5], [1.5, 2.0]]
    assert quantizer.b.grad is not None
    assert quantizer.b.grad.tolist() == [3.0, 3.5]
    assert quantizer.quantize(x[:, :, None, None])[:, :, 0, 0].tolist() == y.tolist()


def test_reactnets_weights_are_binary_in_the_second_step() -> None:
    quantizer = SecondStepQuantizer(whole=False)
    assert torch.equal(quantizer.quantize(ROWS), ROWS)
    schedule = method("reactnet").schedule()
    seen = []
    for share in (0.0, 0.49, 0.5, 1.0):
        schedule.at(share, 0)
        seen.append(schedule.settings["weight"]["second"])
    assert seen == [False, False, True, True]
    quantizer.second = True
    torch.testing.assert_close(quantizer.quantize(ROWS), torch.tensor([[0.75], [0.5]]) * ROW_SIGNS)


def network(rule: Any, *, widths: tuple[int, ...] = (5, 4), inputs: int = 6, classes: int = 3) -> Network:
    torch.manual_seed(0)
    return Network(ModelConfig(topology="free", widths=widths), rule, frame=(inputs,), classes=classes)


def products(net: Network) -> list[Any]:
    return [m for m in net if isinstance(m, BinaryLinear | BinaryConv2d)]


def test_brevitas_layers_carry_the_methods_quantizers() -> None:
    layers = {"topology": "free", "layers": [{"conv": 4}, {"dense": 5}]}
    net = Network(ModelConfig.model_validate(layers), "xnor-net", frame=(6, 6, 2))
    assert [type(m.weight_quant.tensor_quant) for m in products(net)] == [ApproximationQuantizer] * 3
    assert [m.quantizer.whole for m in products(net)] == [False, False, True]
    assert isinstance(net.method, Method)


@pytest.mark.parametrize("name", METHODS.names)
def test_a_method_compiles_as_one_graph_through_its_schedule(name: str) -> None:
    """`[train] compile = true`; the graph is computed op by op here, which takes a second and not a minute."""
    torch.compiler.reset()
    torch.manual_seed(0)
    layers = {"topology": "free", "layers": [{"conv": 4, "pool": 2}, {"conv": 4, "pad": 1}, {"dense": 8}]}
    net = Network(ModelConfig.model_validate(layers), name, frame=(8, 8, 1))
    net.method.start(net)
    compiled = torch.compile(net.forward, backend="aot_eager", fullgraph=True)
    schedule = net.method.schedule()
    x = torch.randint(0, 256, (4, 1, 8, 8)).float()
    for share in (0.01, 0.5, 0.99):
        schedule.at(share, int(1000 * share))
        set_quantizers(net, schedule.settings)
        found = []
        for forward in (net.forward, compiled):
            torch.manual_seed(1)
            net.zero_grad()
            y = forward(x)
            y.square().sum().backward()
            found.append([y.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
        for eager, graph in zip(*found, strict=True):
            torch.testing.assert_close(graph, eager)
