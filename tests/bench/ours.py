"""Our loop for the bench: a session around `wallpaint.train.take_step` without a run folder."""

import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from wallpaint.cache.batches import BatchSettings, Encoded, draw_batch
from wallpaint.cache.draws import sample_draws
from wallpaint.cache.mapped import Group, Mapped
from wallpaint.learned.denoiser import build_denoiser, parameter_groups
from wallpaint.models.bundle import Models
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train import loop

DRAWS = 50
KERNELS = {  # kinds of kernels by their names; the first that fits
    "norms and pointwise, fused": "^triton",
    "attention": "sdpa|flash|fmha|cudnn::fusion",
    "convolutions and products": "xmma|nvjet|gemm|cutlass|cudnn.*conv",
    "copies": "Memcpy|Memset|copy|convertTensor|nchw|nhwc",
    "norms and pointwise": "",
}


def clock(device: str) -> float:
    """Seconds: on a CPU the processor's own in this process, since the machine may be shared."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def make_session(options: Any, models: Models, encoded: Encoded) -> SimpleNamespace:
    """What `take_step` looks at of a session, as `open_session` sets it up, without files."""
    config = TrainConfig(
        method="lora_ip",
        train_batch_size=options.batch,
        learning_rate=1e-4,
        max_train_steps=10**6,
        gradient_checkpointing=options.checkpointing,
    )
    method = METHODS[config.method]
    accelerator = Accelerator(mixed_precision=models.runtime.mixed_precision, cpu=options.device == "cpu")
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    denoiser = build_denoiser(models, method, gradient_checkpointing=config.gradient_checkpointing)
    learned = parameter_groups(denoiser)["lora"]
    optimizer: Any = torch.optim.AdamW(learned.values(), lr=config.learning_rate, fused=True)
    schedule = get_scheduler("constant", optimizer)
    denoiser, optimizer = accelerator.prepare(denoiser, optimizer)
    denoiser.train()
    return SimpleNamespace(
        config=config,
        method=method,
        accelerator=accelerator,
        models=models,
        encoded=encoded,
        denoiser=denoiser,
        learned=learned,
        ema={},
        optimizer=optimizer,
        schedule=schedule,
        step=0,
    )


def stepper(session: SimpleNamespace, drawn: Iterator[loop.Microbatch] | None = None) -> Callable[[], None]:
    """A step as the loop takes it, of `drawn` microbatches; its log is read every `logging_steps`."""
    log, drawn = loop.StepLog(), drawn or loop.draw_microbatches(session)

    def step() -> None:
        loop.take_step(session, log, drawn)
        session.step += 1
        if session.step % session.config.logging_steps == 0:
            log.means()
            assert torch.stack(log.finite).all(), "a step was not finite"
            log.losses.clear()
            log.finite.clear()

    return step


def with_color(session: SimpleNamespace) -> SimpleNamespace:
    """The same with the colour loss from the first step."""
    config = replace(session.config, use_color_loss=True, color_loss_start_step=0)
    return SimpleNamespace(**vars(session) | {"config": config})


def count_flops(session: SimpleNamespace) -> int:
    """Floating-point operations of one step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        stepper(session)()
    return counter.get_total_flops()


def count_waits(step: Callable[[], None], steps: int = 10) -> float:
    """How often a step makes this process wait for the GPU; one in `logging_steps` reads the losses."""
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(steps):
            step()
    torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught) / steps


def kernel_seconds(step: Callable[[], None], steps: int = 3) -> dict[str, float]:
    """Where the GPU's time of a step goes: seconds by kind of kernel."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    seconds: Counter[str] = Counter()
    for event in profiler.key_averages():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            kind = next(kind for kind, pattern in KERNELS.items() if re.search(pattern, event.key))
            seconds[kind] += event.self_device_time_total / 1e6 / steps
    return dict(seconds.most_common())


def stall(session: SimpleNamespace, seconds: float, timed: Callable[[Callable], float]) -> float:
    """The share of a step in which the device waits for data.

    On a GPU: what a step saves when its batch is already there. On a CPU nothing runs beside the drawing, so
    it is the drawing's own share.
    """
    if session.accelerator.device.type == "cpu":
        return draw_seconds(session, len(session.encoded), session.encoded) / seconds
    ready, drawn = stepper(session, repeat(next(loop.draw_microbatches(session)))), stepper(session)
    # By turns and the best of each: clocks drift by more than what is looked for.
    times = [(timed(ready), timed(drawn)) for _ in range(3)]
    still, seconds = (min(column) for column in zip(*times, strict=True))
    return max(0.0, 1 - still / seconds)


def draw_seconds(session: SimpleNamespace, rows: int, encoded: Encoded | None = None) -> float:
    """Seconds to draw a batch out of so many cached samples, and to send it."""
    size = session.config.train_batch_size
    encoded = encoded or many_rows(session.encoded, rows)
    for number in range(DRAWS + 3):
        if number == 3:  # the epoch's order is drawn, once for all its steps
            start = clock(session.accelerator.device.type)
        batch = draw_batch(encoded, sample_draws(size, 0, 0, number), number, BatchSettings(0, size))
        batch.to(session.accelerator.device)
    return (clock(session.accelerator.device.type) - start) / DRAWS


def many_rows(encoded: Encoded, rows: int) -> Encoded:
    """As many cached samples as asked for: the real ones' shard, over and over."""
    first = encoded.groups[0]
    place = torch.arange(rows) % len(first["color"])
    big: Group = {
        name: Mapped(held.shards, held.places[place]) if isinstance(held, Mapped) else held[place]
        for name, held in first.items()
    }
    big |= {"by_view": torch.arange(rows), "first": torch.arange(rows), "alike": torch.ones(rows)}
    return replace(encoded, groups=[big])
