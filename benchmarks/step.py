# SPDX-License-Identifier: Apache-2.0
"""Cost of a training step by method, in steps of plain PyTorch layers of the same shape; writes benchmarks/step.md.

    python benchmarks/step.py [--networks NAME ...] [--large NAME ...] [--rounds N]

A step is forward, loss, backward, the optimizer's update and what the method does after it, on random frames. In each
round every method takes a few steps, in turn, so that what else the machine does falls on all; a ratio is the median
over the rounds of a method's time by the plain network's time in the same round. The large networks are trained in
bfloat16, and compared with what their products alone take. `--networks` or `--large` without names leaves that half of
the report as it is.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adiabit.flows.recipe import Recipe, load
from adiabit.train import methods
from adiabit.train.config import TrainConfig
from adiabit.train.fuse import fused
from adiabit.train.layers import TensorNorm
from adiabit.train.learner import Learner
from adiabit.train.measure import pixels, rounding
from adiabit.train.memory import memory_kept
from adiabit.train.network import Network
from adiabit.train.quantizers import set_quantizers

HERE = Path(__file__).parent
NETWORKS = {"tfc": 100, "sfc": 100, "digits_conv": 100, "spoken_digits": 50, "cnv": 50}  # recipes, frames of a batch
PLAIN = "plain PyTorch"
COMPILED = "{}, compiled"
METHODS = methods.METHODS.names
METHODS += [COMPILED.format(name) for name in ("adiabatic", "ste", "bnn+", "ir-net")]
LARGE = ["cnv", "vgg_small", "resnet20"]  # recipes
FRAMES = 128  # of a batch of theirs
SOFT = 0.02  # of the default schedule: tanh and noise
SECTION = "\n## In bfloat16\n"  # the second half of the report
PRODUCTS, OURS = "products alone", "adiabit"
STEPS = {"tfc": 20, "sfc": 10, "digits_conv": 4, "spoken_digits": 1, "cnv": 1}  # of a method in a round


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--large", nargs="*", choices=LARGE, default=LARGE)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--out", type=Path, default=HERE / "step.md")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch._dynamo.config.recompile_limit = 1000  # many networks in one process
    found, large = {}, {}
    for name in args.networks:
        recipe = load(HERE.parent / "recipes" / f"{name}.toml")
        steps = {PLAIN: plain(recipe, NETWORKS[name])}
        steps |= {method: ours(recipe, method, NETWORKS[name]) for method in args.methods}
        found[name] = ratios(steps, args.rounds, STEPS[name])
        print(name, {k: round(v, 2) for k, v in found[name].items()}, file=sys.stderr, flush=True)
    for name in args.large:
        large[name] = ratios(in_bfloat16(name), args.rounds, 2, base=PRODUCTS)
        print(name, {k: round(v, 2) for k, v in large[name].items()}, file=sys.stderr, flush=True)
    kept = args.out.read_text().split(SECTION) if args.out.exists() else []
    first = report(found, args.methods) if found or not kept else kept[0]
    second = report_large(large) if large or len(kept) < 2 else SECTION + kept[1]
    args.out.write_text(first + second)
    print(args.out)
    return 0


def ratios(steps: dict[str, Callable[[], None]], rounds: int, count: int, *, base: str = PLAIN) -> dict[str, float]:
    """Median over the rounds of each one's time by the base's; seconds of a step of the base itself."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            with memory_kept() if name.startswith(OURS) else nullcontext():
                step()  # fills the memory
                start = time.process_time()
                for _ in range(count):
                    step()
            if number:  # the first warms up
                taken[name].append((time.process_time() - start) / count)
    own = taken.pop(base)
    found = {name: statistics.median(t / b for t, b in zip(times, own, strict=True)) for name, times in taken.items()}
    return {base: statistics.median(own), **found}


def batch(recipe: Recipe, frames: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    source = recipe.data.source
    shape = (frames, *recipe.model.frame(source.shape))
    return (torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
            torch.randint(0, source.classes, (frames,), generator=generator))  # fmt: skip


def ours(recipe: Recipe, method: str, frames: int) -> Callable[[], None]:
    """A step of our network by a method, as its schedule has it half-way."""
    name = method.removesuffix(COMPILED.format(""))
    own = recipe.train.method if name == recipe.train.method.name else name
    train = TrainConfig.model_validate({"method": own, "compile": name != method})
    return step_of(network(recipe, train), train, batch(recipe, frames))


def network(recipe: Recipe, train: TrainConfig, share: float = 0.5) -> Network:
    """The recipe's network, when a share of a method's schedule is done."""
    source = recipe.data.source
    net = Network(recipe.model, train.method, frame=recipe.model.frame(source.shape), classes=source.classes)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.method.start(net)
    schedule = net.method.schedule()
    schedule.at(share, 1000)
    set_quantizers(net, schedule.settings)
    return net


def step_of(net: Network, train: TrainConfig, data: tuple[Tensor, Tensor], *, fuse: bool = False) -> Callable[[], None]:
    """A step in the precision of the training, fused for as long as the function exists if `fuse` is set."""
    open_ = ExitStack()
    if fuse:
        open_.enter_context(fused(net))
    learner = Learner(net, train)
    optimizer, schedule = learner.configure_optimizers(), net.method.schedule()
    schedule.at(0.5, 1000)

    def step() -> None:
        optimizer.zero_grad()
        with rounding(train):
            loss = learner.training_step(data, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        net.method.after_step(net, train.learning_rate, schedule)

    step.open = open_  # type: ignore[attr-defined]
    return step


def plain(recipe: Recipe, frames: int) -> Callable[[], None]:
    """The same shapes in torch.nn alone: linear or convolution, max pool, batch norm, hard tanh."""
    source = recipe.data.source
    frame = recipe.model.frame(source.shape)
    layers: list[nn.Module] = []
    for module in Network(recipe.model, "real", frame=frame, classes=source.classes):
        if isinstance(module, nn.BatchNorm2d):
            layers.append(nn.BatchNorm2d(module.num_features))
        elif isinstance(module, nn.ReLU | nn.Tanh):
            layers.append(nn.Hardtanh())
        elif not isinstance(module, TensorNorm) and type(module).__module__.startswith("torch."):
            layers.append(module)
    net = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    images, labels = batch(recipe, frames)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(pixels(images)), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def in_bfloat16(name: str) -> dict[str, Callable[[], None]]:
    """Steps of one of the large networks: of its products, of plain PyTorch and ours."""
    recipe = load(HERE.parent / "recipes" / f"{name}.toml")
    steps = {PRODUCTS: products(recipe)}
    for precision in ("float32", "bfloat16"):
        for compiled in (False, True):
            title = f"{PLAIN}, {precision}{', compiled' if compiled else ''}"
            steps[title] = large_step(recipe, "real", precision, compiled=compiled)
    for method in ("adiabatic", "ste", "bi-real"):
        steps[f"{OURS}, {method}"] = large_step(recipe, method, "bfloat16", fuse=True)
    steps[f"{OURS}, adiabatic, soft"] = large_step(recipe, "adiabatic", "bfloat16", fuse=True, share=SOFT)
    steps["not fused, adiabatic"] = large_step(recipe, "adiabatic", "bfloat16")
    steps["not fused, adiabatic, soft"] = large_step(recipe, "adiabatic", "bfloat16", share=SOFT)
    return steps


def large_step(
    recipe: Recipe, method: str, precision: str, *, compiled: bool = False, fuse: bool = False, share: float = 0.5
) -> Callable[[], None]:
    """A step of a network by a method; that of `real` has torch's own layers alone."""
    train = TrainConfig.model_validate({"method": method, "precision": precision, "compile": compiled})
    return step_of(network(recipe, train, share), train, batch(recipe, FRAMES), fuse=fuse)


def products(recipe: Recipe) -> Callable[[], None]:
    """The products of a step in bfloat16: forward, of the gradient with its input, and with its weights."""
    source = recipe.data.source
    net = Network(recipe.model, "real", frame=recipe.model.frame(source.shape), classes=source.classes)
    net.to(torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    calls: list[Callable[[], object]] = []

    def seen(layer: nn.Module, given: tuple[Tensor], out: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)  # noqa: S101  (only those have the hook)
        x, weight, gradient = given[0].detach(), layer.weight.detach(), torch.randn_like(out)
        if isinstance(layer, nn.Linear):
            calls.append(lambda: (x @ weight.T, gradient @ weight, gradient.T @ x))
            return
        settings: Any = (layer.stride, layer.padding, layer.dilation)
        mask = [bool(calls), True, False]  # no gradient of the pixels
        calls.append(lambda: nn.functional.conv2d(x, weight, None, *settings))
        calls.append(lambda: torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *settings, False, [0, 0], 1, mask
        ))  # fmt: skip

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(seen)
    images, _ = batch(recipe, FRAMES)
    with torch.no_grad():
        net(pixels(images).bfloat16())

    def step() -> None:
        for call in calls:
            call()

    return step


def report_large(found: dict[str, dict[str, float]]) -> str:
    lines = [
        SECTION,
        f"Batches of {FRAMES} frames, a step in the time of its products alone: forward, and with respect to input and",
        f"weights, by torch in bfloat16 on tensors that lie ready. {PLAIN} is the real-valued twin: torch's layers",
        "alone, ReLU. `soft`: tanh and noise forward, as in the first 5 % of the default schedule and in all of the",
        f"adiabatic paper's schedules. Seconds are the process's own. {_cpu()}", "",
        "| step | " + " | ".join(found) + " |",
        "| --- |" + " ---: |" * len(found),
        f"| {PRODUCTS}, milliseconds | " + " | ".join(f"{1e3 * f[PRODUCTS]:.0f}" for f in found.values()) + " |",
    ]  # fmt: skip
    names = [name for name in next(iter(found.values())) if name != PRODUCTS] if found else []
    lines += [f"| {name} | " + " | ".join(f"{f[name]:.2f}" for f in found.values()) + " |" for name in names]
    return "\n".join(lines) + "\n" if found else ""


def _cpu() -> str:
    """What of the CPU decides on the speed of products in bfloat16."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    known = next((name for name in ("amx_bf16", "avx512_bf16") if name in flags), None)
    return f"The CPU has `{known}`." if known else "The CPU has no instructions for bfloat16."


def report(found: dict[str, dict[str, float]], methods: Sequence[str]) -> str:
    lines = [
        "# Cost of a training step", "",
        f"Made by `python benchmarks/step.py`: one thread of {platform.machine()}, torch {torch.__version__}. A step's",
        "time in that of a plain PyTorch network of the same shapes (linear or convolution, max pool, batch norm, hard",
        "tanh, AdamW), both in one run; the median over rounds. Quantization, penalties and a method's own update are",
        "in it. `adiabatic` is half-way through its schedule. `compiled` is `[train] compile = true`, once it has",
        "started.", "",
        "| method | " + " | ".join(f"{n}, batch {NETWORKS[n]}" for n in found) + " |",
        "| --- |" + " ---: |" * len(found),
        f"| {PLAIN}, milliseconds | " + " | ".join(f"{1e3 * f[PLAIN]:.1f}" for f in found.values()) + " |",
    ]  # fmt: skip
    lines += [f"| {m} | " + " | ".join(f"{f[m]:.2f}" for f in found.values()) + " |" for m in methods]
    if {"adiabatic", "ste"} <= set(methods):
        row = " | ".join(f"{f['adiabatic'] / f['ste']:.2f}" for f in found.values())
        lines.append(f"| adiabatic by ste | {row} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
