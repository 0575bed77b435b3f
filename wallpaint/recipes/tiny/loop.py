"""The one training loop of the recipe: AdamW, a cosine by the clock, EMA, resumable, a JSONL log."""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

GOING_ON = 0.7  # of a stage's learning rate, where it goes on from weights that have learned before


@dataclass(frozen=True)
class Fit:
    """How one stage learns. The schedule follows the clock, so that a slow machine still ends on time."""

    minutes: float
    learning_rate: float
    weight_decay: float = 0.01
    warmup_steps: int = 50
    ema: float = 0.998
    max_grad_norm: float = 1.0
    save_minutes: float = 1.0
    seed: int = 0


def fit(
    name: str,
    modules: Iterable[nn.Module],
    step: Callable[[torch.Generator], dict[str, torch.Tensor]],
    plan: Fit,
    work: Path,
    evaluate: Callable[[], dict[str, float]] = dict,
) -> None:
    """Trains whatever in `modules` requires grad; `step` gives the losses, which are summed.

    Leaves the averaged weights in the modules. `evaluate` runs at each save on the averaged weights.
    """
    weights = {key: value for key, value in named(modules).items() if value.requires_grad}
    average = {key: value.detach().clone() for key, value in weights.items()}
    fused = next(iter(weights.values())).is_cuda
    optimizer = torch.optim.AdamW(weights.values(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=fused)
    count, spent, pace = _resume(checkpoint_path(work, name), weights, average, optimizer)
    generator = torch.Generator().manual_seed(plan.seed + count)
    started = saved = time.monotonic()
    budget = plan.minutes * 60
    sums: dict[str, torch.Tensor] = {}  # on the device: reading them would make it wait
    steps = 0
    while (elapsed := spent + time.monotonic() - started) < budget:
        warm = min(1.0, (count + 1) / plan.warmup_steps)
        rate = pace * plan.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * elapsed / budget)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = step(generator)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(weights.values(), plan.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        count += 1
        decay = min(plan.ema, (1 + count) / (10 + count))
        torch._foreach_lerp_(list(average.values()), [w.detach() for w in weights.values()], 1 - decay)
        for key, value in losses.items():
            sums[key] = sums.get(key, 0) + value.detach()
        steps += 1
        if time.monotonic() - saved > plan.save_minutes * 60:
            means = _means(name, count, sums, steps)
            with put_for_now(average, weights):
                _report(name, count, elapsed, rate, means, work, evaluate())
            _save(checkpoint_path(work, name), weights, average, optimizer, count, elapsed, pace)
            saved, sums, steps = time.monotonic(), {}, 0
    means = _means(name, count, sums, steps)
    _save(checkpoint_path(work, name), weights, average, optimizer, count, max(spent, elapsed), pace)
    put(average, weights)
    _report(name, count, elapsed, 0.0, means, work, evaluate())


def _means(name: str, count: int, sums: dict[str, torch.Tensor], steps: int) -> dict[str, float]:
    """Of the steps since the last report, before anything of them is saved."""
    means = {key: float(value) / max(1, steps) for key, value in sums.items()}
    if not all(math.isfinite(value) for value in means.values()):
        raise FloatingPointError(f"{name}: the loss is not finite by step {count}")
    return means


def graphed(module: nn.Module, *inputs: torch.Tensor) -> nn.Module:
    """`module` as one CUDA graph for inputs of these shapes: small models spend their time on launches.

    On a CPU it stays as it is. Only positional tensors; the weights may change in place.
    """
    if not inputs[0].is_cuda:
        return module
    return torch.cuda.make_graphed_callables(module, inputs, allow_unused_input=True)


def named(modules: Iterable[nn.Module]) -> dict[str, nn.Parameter]:
    """Name -> parameter; names begin with the module's place."""
    return {f"{i}.{key}": value for i, module in enumerate(modules) for key, value in module.named_parameters()}


@torch.no_grad()
def put(values: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    """Put into each of the weights the value of its name."""
    for key, weight in weights.items():
        weight.copy_(values[key])


@contextmanager
def put_for_now(values: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Put values into weights, and their own ones back afterwards; without gradients."""
    raw = {key: value.detach().clone() for key, value in weights.items()}
    put(values, weights)
    with torch.no_grad():
        yield
    put(raw, weights)


def checkpoint_path(work: Path, name: str) -> Path:
    """Where a stage keeps its state."""
    return Path(work) / f"{name}.pt"


def load_result(work: Path, name: str, modules: Iterable[nn.Module]) -> bool:
    """Puts a stage's averaged weights into freshly built modules; False where it has not begun."""
    path = checkpoint_path(work, name)
    if not path.exists():
        return False
    average, weights = torch.load(path, weights_only=True, map_location="cpu")["average"], named(modules)
    put(average, {key: weights[key] for key in average})
    return True


def begin_with(
    work: Path, name: str, modules: Iterable[nn.Module], chosen: Callable[[nn.Parameter], bool] = lambda p: True
) -> None:
    """Let a stage that has not begun go on from these weights, with a fresh optimizer."""
    path = checkpoint_path(work, name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = {key: value.detach() for key, value in named(modules).items() if chosen(value)}
        torch.save({"weights": weights, "average": weights}, path)


def _resume(path: Path, weights: dict, average: dict, optimizer: torch.optim.Optimizer) -> tuple[int, float, float]:
    """Steps done, seconds spent, and the share of the stage's learning rate."""
    if not path.exists():
        return 0, 0.0, 1.0
    state = torch.load(path, weights_only=True, map_location="cpu")
    put(state["weights"], weights)
    put(state["average"], average)
    if "optimizer" not in state:  # the weights of a family to go on from, see `begin_with`
        return 0, 0.0, GOING_ON
    optimizer.load_state_dict(state["optimizer"])
    return state["count"], state["seconds"], state["pace"]


def _save(path: Path, weights: dict, average: dict, optimizer, count: int, seconds: float, pace: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    state = {"weights": {k: v.detach() for k, v in weights.items()}, "average": average}
    torch.save(state | {"optimizer": optimizer.state_dict(), "count": count, "seconds": seconds, "pace": pace}, fresh)
    os.replace(fresh, path)


def _report(name: str, count: int, seconds: float, rate: float, means: dict, work: Path, figures: dict) -> None:
    row = {"stage": name, "step": count, "minutes": seconds / 60, "lr": rate, **means, **figures}
    line = json.dumps({k: v if isinstance(v, str | int) else float(f"{v:.4g}") for k, v in row.items()})
    print(line, flush=True)
    Path(work).mkdir(parents=True, exist_ok=True)
    with (Path(work) / "training.jsonl").open("a") as log:
        log.write(line + "\n")
