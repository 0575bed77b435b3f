"""train(config) -> run folder: the only training loop, for every method.

A step, whatever the method: noised = add_noise(batch); noise_pred = denoiser(noised, batch); the losses of the
table; backward. A step's batch, noise, timesteps and dropout are a function of (seed, step) alone, so a run that
was stopped and resumed ends bit-identical on a CPU to one that was not.
"""

import contextlib
import platform
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import diffusers
import peft
import torch
import transformers
from accelerate import Accelerator
from diffusers.optimization import get_scheduler

from wallpaint.cache import Encoded, draw_batch, encode_samples, step_generator
from wallpaint.checkpoints import load_checkpoint, save_checkpoint
from wallpaint.config import TrainConfig, to_yaml
from wallpaint.dataset import Sample, read_splits
from wallpaint.denoiser import add_noise, build_denoiser, parameter_groups
from wallpaint.images import atomic_path
from wallpaint.losses import LOSSES, Step
from wallpaint.methods import METHODS
from wallpaint.models import load_models, pick_runtime
from wallpaint.records import Record, write_card
from wallpaint.runs import new_run_folder, write_state
from wallpaint.validation import pick_samples, validate
from wallpaint.weights import save_weights, start_from

NON_FINITE_LIMIT = 20
EMA_DECAY = 0.999


def train(config: TrainConfig, resume: bool = False) -> Path:
    """Train as `config` says and return the run folder; `run.json` there says how it ended.

    SIGINT and SIGTERM end it after the running step with a checkpoint, state `stopped` and exit code 130.

    Args:
        config: checked settings.
        resume: go on from the last checkpoint in `config.output_dir`.

    Raises:
        ValueError: the dataset, the models or the checkpoint are missing or do not fit.
        RuntimeError: the loss was not finite NON_FINITE_LIMIT times running.
    """
    # ---- data and models; nothing is written before both are known to be there
    method = METHODS[config.method]
    accelerator, runtime = start_accelerator(config)
    splits = read_splits(config.dataset)
    models = load_models(
        config.family, runtime, base_model=config.base_model, ip_adapter_model=config.ip_adapter_model,
        ip_adapter_weight_name=config.ip_adapter_weight_name, resolution=config.resolution,
    )  # fmt: skip
    folder = Path(config.output_dir) if config.output_dir else new_run_folder("workspace", config.method)
    record = open_run(folder, config, accelerator)
    record.say(f"{config.method} on {runtime.device} ({runtime.reason}), family {config.family}, run {folder}")

    # ---- encode once
    encoded = encode_samples(
        models, splits["train"], config.cache_dir, states="ip_adapter" in method.learns, flip=config.random_flip,
        workers=config.dataloader_num_workers, report=record.say,
    )  # fmt: skip
    watched = pick_samples(splits.get("validation", splits["train"]), config.num_validation_images)
    record.say(describe_data(encoded, splits))

    # ---- what learns, the optimizer, the schedule
    torch.manual_seed(config.seed)  # the LoRA's start
    denoiser = build_denoiser(
        models, method, config.lora_rank, config.lora_alpha, config.lora_dropout, config.ip_adapter_scale,
        config.gradient_checkpointing,
    )  # fmt: skip
    if config.init_from:
        start_from(models, config.init_from, method.learns)
    groups = parameter_groups(denoiser)
    learned = {name: p for group in method.learns for name, p in groups[group].items()}
    ema = {name: p.detach().clone() for name, p in learned.items()} if config.use_ema else {}
    optimizer = torch.optim.AdamW(learned.values(), lr=config.learning_rate, weight_decay=config.adam_weight_decay)
    schedule = get_scheduler(config.lr_scheduler, optimizer, config.lr_warmup_steps, config.max_train_steps)
    record.say(", ".join(f"{g}: {sum(p.numel() for p in groups[g].values()):,}" for g in method.learns) + " learn")
    step = restore(folder, learned, ema, optimizer, schedule, accelerator) if resume else 0
    denoiser, optimizer = accelerator.prepare(denoiser, optimizer)
    denoiser.train()

    # ---- the loop
    record.start(step)
    if accelerator.is_main_process:
        write_state(folder, state="running", step=step)
    sums, seen, since, bad, figures = {}, 0, time.perf_counter(), 0, {}

    def watch() -> dict[str, float]:
        if not config.validation_steps or not accelerator.is_main_process:
            return {}
        with averaged(learned, ema):
            return validate(models, config, watched, folder / "samples" / f"step-{step:06d}.png")

    def keep() -> None:
        if accelerator.is_main_process:
            states = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            states |= {"scaler": accelerator.scaler.state_dict()} if accelerator.scaler else {}
            tensors = {"learned": learned, **({"ema": ema} if ema else {})}
            save_checkpoint(folder, step, tensors, states, config.checkpoints_total_limit)
            with averaged(learned, ema):
                save_weights(folder / "weights", models, method.learns)

    if step == 0:
        figures = watch()
        if figures:
            record.log({"step": 0, **figures})
        since = time.perf_counter()
    with stop_signals() as stopped:
        while step < config.max_train_steps and not stopped:
            # ---- one training step
            torch.manual_seed(int(step_generator(config.seed, step, accelerator.process_index).initial_seed()))
            finite = True
            for micro in range(config.gradient_accumulation_steps):
                generator = step_generator(config.seed, step, micro, accelerator.process_index)
                number = (step * config.gradient_accumulation_steps + micro) * accelerator.num_processes
                batch = draw_batch(
                    encoded, generator, number + accelerator.process_index, config.seed, config.train_batch_size,
                    (config.image_drop_prob, config.text_drop_prob, config.both_drop_prob),
                ).to(accelerator.device)  # fmt: skip
                noised = add_noise(batch.latents, models.noise_scheduler, generator, config.noise_offset)
                with accelerator.autocast():
                    noise_pred = denoiser(noised, batch)
                look = Step(noise_pred, noised, batch, models, config, generator)
                losses = {name: weight * LOSSES[name](look) for name, weight in active_losses(config, step).items()}
                loss = sum(losses.values())
                finite = bool(torch.isfinite(accelerator.gather(loss.detach())).all())
                if not finite:
                    break
                accelerator.backward(loss / config.gradient_accumulation_steps)
                for name, value in losses.items():
                    sums.setdefault(f"loss_{name}", []).append(value.item())
                seen += config.train_batch_size * accelerator.num_processes
            bad = 0 if finite else bad + 1
            if finite:
                accelerator.clip_grad_norm_(learned.values(), config.max_grad_norm)
                optimizer.step()
                update_average(learned, ema, step)
            elif bad == NON_FINITE_LIMIT:
                raise RuntimeError(f"the loss was not finite {bad} times running, last at step {step}: lower learning_rate")
            optimizer.zero_grad(set_to_none=True)
            rate = schedule.get_last_lr()[0]
            schedule.step()
            step += 1

            # ---- watch, log, keep
            last = step == config.max_train_steps
            watching = config.validation_steps and (last or step % config.validation_steps == 0)
            if last or watching or step % config.logging_steps == 0:
                pace = seen / (time.perf_counter() - since)
                figures = watch() if watching else {}
                means = {name: sum(values) / len(values) for name, values in sums.items()}
                row = {"step": step, "loss": sum(means.values()), **means, "lr": rate, "samples_per_second": pace}
                record.log({**row, **figures})
                accelerator.log(row, step=step)
                if accelerator.is_main_process:
                    write_state(folder, step=step)
                sums, seen, since = {}, 0, time.perf_counter()
            if config.checkpointing_steps and step % config.checkpointing_steps == 0 and not last:
                keep()

    # ---- the end: whole, or stopped with a checkpoint
    keep()
    accelerator.end_training()
    if accelerator.is_main_process:
        write_card(folder, config, step, len(encoded), figures)
        done = step == config.max_train_steps
        write_state(folder, state="done" if done else "stopped", step=step, exit_code=0 if done else 130)
        record.say(f"{'done' if done else 'stopped'} at step {step}: {folder / 'weights'}")
    return folder


def start_accelerator(config: TrainConfig):
    """Accelerate's view of this process, and the runtime on its device."""
    runtime = pick_runtime(config.device, config.mixed_precision)
    tracker = None if config.report_to == "none" else config.report_to
    accelerator = Accelerator(
        mixed_precision=runtime.mixed_precision, cpu=runtime.device.type == "cpu", log_with=tracker,
        project_dir=config.output_dir or "workspace",
    )  # fmt: skip
    if tracker:
        accelerator.init_trackers("wallpaint")
    return accelerator, replace(runtime, device=accelerator.device)


def open_run(folder: Path, config: TrainConfig, accelerator: Accelerator) -> Record:
    """Make the run folder, write config.yaml and the facts of run.json."""
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "config.yaml") as path:
            path.write_text(to_yaml(replace(config, output_dir=str(folder))), encoding="utf-8")
        versions = {m.__name__: m.__version__ for m in (torch, diffusers, transformers, peft)}
        import os

        write_state(
            folder, state="starting", pid=os.getpid(), num_processes=accelerator.num_processes, exit_code=None,
            method=config.method, family=config.family, max_train_steps=config.max_train_steps,
            versions={"python": platform.python_version(), **versions},
        )  # fmt: skip
    return Record(folder, config, accelerator.is_main_process)


def active_losses(config: TrainConfig, step: int) -> dict[str, float]:
    """The losses of this step with their weights."""
    weights = {"diffusion": 1.0}
    if config.use_color_loss and step >= config.color_loss_start_step:
        weights["color"] = config.color_loss_weight
    return weights


def describe_data(encoded: Encoded, splits: dict[str, list[Sample]]) -> str:
    """One line for the log: a mask that covers nothing, or everything, shows here before an hour is spent."""
    shares = torch.cat([group["wall"].float().mean(dim=(1, 2, 3)) for group in encoded.groups])
    held = f"{len(splits['validation'])} held out" if "validation" in splits else "no validation split"
    return (f"{len(encoded)} samples ({encoded.encoded} rows newly encoded), {held}; walls cover "
            f"{shares.mean():.0%} of a picture ({shares.min():.0%} to {shares.max():.0%})")  # fmt: skip


def restore(folder: Path, learned: dict, ema: dict, optimizer, schedule, accelerator: Accelerator) -> int:
    """Put the newest checkpoint in place and return its step."""
    expected = {"learned": learned, **({"ema": ema} if ema else {})}
    step, tensors, states = load_checkpoint(folder, expected)
    with torch.no_grad():
        for name, values in expected.items():
            for key, value in values.items():
                value.copy_(tensors[name][key])
    optimizer.load_state_dict(states["optimizer"])
    schedule.load_state_dict(states["schedule"])
    if accelerator.scaler and "scaler" in states:
        accelerator.scaler.load_state_dict(states["scaler"])
    return step


def update_average(learned: dict, ema: dict, step: int) -> None:
    """Move the running average towards the weights; it warms up, so that the start is forgotten."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, average in ema.items():
            average.lerp_(learned[name], 1 - decay)


@contextlib.contextmanager
def averaged(learned: dict, ema: dict) -> Iterator[None]:
    """Put the running average in the place of the weights for a while; nothing happens without one."""
    kept = {name: learned[name].data for name in ema}
    for name, average in ema.items():
        learned[name].data = average
    try:
        yield
    finally:
        for name, value in kept.items():
            learned[name].data = value


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list that is empty until one comes; a second one interrupts at once."""
    received: list[int] = []

    def note(number: int, frame) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: nobody can send us one
        old = {}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
