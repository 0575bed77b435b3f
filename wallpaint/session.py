"""Everything a training run needs, set up: data, models, what learns, the optimizer, the run folder."""

import contextlib
import os
import platform
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import diffusers
import peft
import torch
import transformers
from accelerate import Accelerator
from diffusers.optimization import get_scheduler

from wallpaint.batches import Encoded
from wallpaint.cache import encode_samples
from wallpaint.checkpoints import load_checkpoint, save_checkpoint
from wallpaint.config import TrainConfig, to_yaml
from wallpaint.dataset import Sample, read_splits
from wallpaint.denoiser import build_denoiser, parameter_groups
from wallpaint.images import atomic_path
from wallpaint.methods import METHODS, Method
from wallpaint.models import Models, Runtime, load_models, pick_runtime
from wallpaint.records import Record, write_card
from wallpaint.runs import new_run_folder, write_state
from wallpaint.validation import pick_samples, validate
from wallpaint.weights import save_weights, start_from

EMA_DECAY = 0.999


@dataclass
class Session:
    """What the loop works with. Only the main process writes to the folder."""

    config: TrainConfig
    method: Method
    accelerator: Accelerator
    models: Models
    encoded: Encoded
    watched: list[tuple[Sample, Sample]]  # what validation paints: (before, after)
    folder: Path
    record: Record
    denoiser: Any  # Denoiser, perhaps wrapped for many processes
    learned: dict[str, torch.nn.Parameter]
    ema: dict[str, torch.Tensor]  # empty without use_ema
    optimizer: Any
    schedule: Any
    step: int = 0  # steps done
    figures: dict[str, float] = field(default_factory=dict)  # of the last validation

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.accelerator.is_main_process


def open_session(config: TrainConfig, resume: bool) -> Session:
    """Set a run up; nothing is written before the dataset and the models are known to be there.

    Raises:
        ValueError: the dataset, the models, `init_from` or the checkpoint are missing or do not fit.
    """
    method = METHODS[config.method]
    splits = read_splits(config.dataset)
    accelerator, runtime = _accelerate(config)
    models = load_models(
        config.family, runtime, base_model=config.base_model, ip_adapter_model=config.ip_adapter_model,
        ip_adapter_weight_name=config.ip_adapter_weight_name, resolution=config.resolution,
    )  # fmt: skip
    folder = Path(config.output_dir) if config.output_dir else new_run_folder("workspace", config.method)
    record = _open_folder(folder, config, accelerator)
    record.say(
        f"{config.method}, family {config.family}, on {runtime.device} ({runtime.reason}), run {folder}"
    )
    with accelerator.main_process_first():  # the others then find everything in the cache
        encoded = encode_samples(
            models, splits["train"], config.cache_dir, states="ip_adapter" in method.learns,
            flip=config.random_flip, workers=config.dataloader_num_workers, report=record.say,
        )  # fmt: skip
    record.say(_describe(encoded, splits))
    watched = pick_samples(splits.get("validation", splits["train"]), config.num_validation_images)

    torch.manual_seed(config.seed)  # the LoRA's start
    denoiser = build_denoiser(
        models, method, config.lora_rank, config.lora_alpha, config.lora_dropout, config.lora_target,
        config.ip_adapter_scale, config.gradient_checkpointing,
    )  # fmt: skip
    if config.init_from:
        start_from(models, config.init_from, method.learns)
    groups = parameter_groups(denoiser)
    record.say(
        ", ".join(f"{g}: {sum(p.numel() for p in groups[g].values()):,}" for g in method.learns) + " learn"
    )
    learned = {name: parameter for group in method.learns for name, parameter in groups[group].items()}
    ema = {name: parameter.detach().clone() for name, parameter in learned.items()} if config.use_ema else {}
    optimizer = torch.optim.AdamW(
        learned.values(), lr=config.learning_rate, weight_decay=config.adam_weight_decay, fused=True
    )
    schedule = get_scheduler(
        config.lr_scheduler, optimizer, num_warmup_steps=config.lr_warmup_steps,
        num_training_steps=config.max_train_steps,
    )  # fmt: skip
    session = Session(
        config, method, accelerator, models, encoded, watched, folder, record, denoiser, learned, ema,
        optimizer, schedule,
    )  # fmt: skip
    if resume:
        _restore(session)
    session.denoiser, session.optimizer = accelerator.prepare(denoiser, optimizer)
    session.denoiser.train()
    record.start(session.step)
    if session.main:
        write_state(folder, state="running", step=session.step)
    return session


def watch(session: Session) -> dict[str, float]:
    """Paint the validation rooms with what is learned so far; the figures."""
    if not session.config.validation_steps or not session.main:
        return {}
    path = session.folder / "samples" / f"step-{session.step:06d}.png"
    with averaged(session):
        session.figures = validate(session.models, session.config, session.watched, path)
    return session.figures


def keep(session: Session) -> None:
    """Save a checkpoint to resume from, and the weights to paint with."""
    if not session.main:
        return
    scaler = session.accelerator.scaler
    states = {"optimizer": session.optimizer.state_dict(), "schedule": session.schedule.state_dict()}
    states |= {"scaler": scaler.state_dict()} if scaler else {}
    save_checkpoint(
        session.folder, session.step, _tensors(session), states, session.config.checkpoints_total_limit
    )
    with averaged(session):
        save_weights(session.folder / "weights", session.models, session.method.learns)


def close_session(session: Session) -> Path:
    """Save all, write the model card and how the run ended."""
    keep(session)
    session.accelerator.end_training()
    if session.main:
        config, done = session.config, session.step == session.config.max_train_steps
        write_card(session.folder, config, session.step, len(session.encoded), session.figures)
        state, code = ("done", 0) if done else ("stopped", 130)
        write_state(session.folder, state=state, step=session.step, exit_code=code)
        session.record.say(f"{state} at step {session.step}: {session.folder / 'weights'}")
    return session.folder


def update_average(session: Session) -> None:
    """Move the running average towards the weights; it warms up, so that the start is forgotten."""
    decay = min(EMA_DECAY, (1 + session.step) / (10 + session.step))
    with torch.no_grad():
        for name, average in session.ema.items():
            average.lerp_(session.learned[name], 1 - decay)


@contextlib.contextmanager
def averaged(session: Session) -> Iterator[None]:
    """Put the running average in the place of the weights for a while; nothing happens without one."""
    kept = {name: session.learned[name].data for name in session.ema}
    for name, average in session.ema.items():
        session.learned[name].data = average
    try:
        yield
    finally:
        for name, value in kept.items():
            session.learned[name].data = value


def _accelerate(config: TrainConfig) -> tuple[Accelerator, Runtime]:
    """Accelerate's view of this process, and the runtime on its device."""
    runtime = pick_runtime(config.device, config.mixed_precision)
    tracker = None if config.report_to == "none" else config.report_to
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wishes for an oneAPI build on a CPU
        accelerator = Accelerator(
            mixed_precision=runtime.mixed_precision, cpu=runtime.device.type == "cpu", log_with=tracker,
            project_dir=config.output_dir or "workspace",
        )  # fmt: skip
    if tracker:
        accelerator.init_trackers("wallpaint")
    return accelerator, replace(runtime, device=accelerator.device)


def _open_folder(folder: Path, config: TrainConfig, accelerator: Accelerator) -> Record:
    """Make the run folder, write config.yaml and the facts of run.json."""
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "config.yaml") as path:
            path.write_text(to_yaml(replace(config, output_dir=str(folder))), encoding="utf-8")
        versions = {module.__name__: module.__version__ for module in (torch, diffusers, transformers, peft)}
        write_state(
            folder, state="starting", pid=os.getpid(), exit_code=None,
            num_processes=accelerator.num_processes, method=config.method,
            family=config.family, max_train_steps=config.max_train_steps,
            versions={"python": platform.python_version(), **versions},
        )  # fmt: skip
    return Record(folder, config, accelerator.is_main_process)


def _describe(encoded: Encoded, splits: dict[str, list[Sample]]) -> str:
    """One line for the log: a mask that covers nothing, or everything, shows here before an hour is spent."""
    shares = torch.cat([group["wall"].float().mean(dim=(1, 2, 3)) for group in encoded.groups])
    held = f"{len(splits['validation'])} held out" if "validation" in splits else "no validation split"
    return (f"{len(encoded)} samples ({encoded.encoded} rows newly encoded), {held}; walls cover "
            f"{shares.mean():.0%} of a picture ({shares.min():.0%} to {shares.max():.0%})")  # fmt: skip


def _tensors(session: Session) -> dict[str, dict[str, torch.Tensor]]:
    return {"learned": session.learned, **({"ema": session.ema} if session.ema else {})}


def _restore(session: Session) -> None:
    """Put the newest checkpoint in place."""
    expected = _tensors(session)
    session.step, tensors, states = load_checkpoint(session.folder, expected)
    with torch.no_grad():
        for name, values in expected.items():
            for key, value in values.items():
                value.copy_(tensors[name][key])
    session.optimizer.load_state_dict(states["optimizer"])
    session.schedule.load_state_dict(states["schedule"])
    if session.accelerator.scaler and "scaler" in states:
        session.accelerator.scaler.load_state_dict(states["scaler"])
