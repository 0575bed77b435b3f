"""Everything a training run needs, set up: data, models, what learns, the optimizer, the run folder."""

import importlib.util
import os
import platform
import warnings
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import diffusers
import peft
import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, ProjectConfiguration
from diffusers.optimization import get_scheduler

from wallpaint.cache.batches import Encoded
from wallpaint.cache.build import encode_views
from wallpaint.cache.views import list_views
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.rows import Sample
from wallpaint.disk import atomic_path
from wallpaint.learned.denoiser import Denoiser, compile_blocks, parameter_groups
from wallpaint.models.bundle import Models, load_family
from wallpaint.models.runtime import Runtime, pick_runtime
from wallpaint.process import collector_paused
from wallpaint.runs.state import new_run_folder, read_run, write_state
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig, load_config, to_yaml
from wallpaint.train.checkpoints import find_start, load_checkpoint
from wallpaint.train.dataset_rows import ROWS_FILE, Row, changed_rows, describe_rows, save_rows
from wallpaint.train.inputs import Inputs, Splits, read_inputs
from wallpaint.train.prepare import attach, dataset_sizes, encoding_options, hash_models
from wallpaint.train.records import Record
from wallpaint.train.validation import pick_samples
from wallpaint.train.warnings import other_settings, settle_preset, warn_early

# The main process encodes and validates alone; by default the others would give up after ten minutes on GPUs.
PROCESS_TIMEOUT = timedelta(days=1)


@dataclass
class Session:
    """What the loop works with. Only the main process writes to the folder."""

    config: TrainConfig
    accelerator: Accelerator
    models: Models
    splits: Splits
    encoded: Encoded  # what is learned from
    held_out: Encoded | None  # what the validation loss is measured on; None without validation
    repaints: list[tuple[Sample, Sample]]  # what validation paints: (before, after)
    folder: Path
    record: Record
    plain: Denoiser
    saves: tuple[str, ...]  # the groups that go to weights/: what learns, and what `init_from` brought
    learned: dict[str, torch.nn.Parameter]
    ema: dict[str, torch.Tensor]  # empty without use_ema
    optimizer: Any
    schedule: Any
    denoiser: Any = None  # `plain`, perhaps wrapped for many processes
    step: int = 0  # steps done
    figures: dict[str, float] = field(default_factory=dict)  # of the last validation

    @property
    def method(self) -> Method:
        """The row of METHODS that is trained."""
        return METHODS[self.config.method]

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.accelerator.is_main_process

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """What a checkpoint holds beside the optimizer and the schedule."""
        return {"learned": self.learned, **({"ema": self.ema} if self.ema else {})}


@collector_paused()
def open_session(config: TrainConfig, resume: bool, inputs: Inputs | None = None) -> Session:
    """Set a run up; nothing is written before the dataset and the models are known to be there.

    `inputs` are those of `config`, where they have been read.

    Raises:
        UserError: the dataset, the models, `init_from` or the checkpoint are missing or do not fit, or the
            folder holds another run.
    """
    config, preset = settle_preset(config)
    inputs = inputs or read_inputs(config)
    files, splits = inputs.files, inputs.splits
    folder = Path(config.output_dir) if config.output_dir else new_run_folder("workspace", config.method)
    start = find_start(folder, resume)
    accelerator, runtime = _accelerate(config, folder)
    record = Record(folder, config, accelerator.is_main_process)
    rows: list[Row] = []
    if accelerator.is_main_process:
        rows = describe_rows(splits, files, config.dataloader_num_workers)
        for warning in _warn(config, folder, inputs, rows, start):
            record.warn(warning)
    models = load_family(inputs.family, runtime)
    if accelerator.is_main_process:
        hashes, before = hash_models(inputs.family), read_run(folder).fields.get("models") or {}
        if start and (other := [name for name in hashes if before and before.get(name) != hashes[name]]):
            record.warn(f"the models have changed since this run began: another {', '.join(other)}")
    _open_folder(folder, config, accelerator, start is None)
    if accelerator.is_main_process and not (start and (folder / ROWS_FILE).is_file()):
        save_rows(folder, rows)
        write_state(folder, models=hashes, held_out=len(splits.get("validation", ())))
    record.say(f"{config.method}, family {config.family}, on {runtime.device} ({runtime.reason}), run {folder}")
    if preset:
        record.say(preset)
    session = _set_up(config, accelerator, models, splits, files, folder, record)
    if start:
        _restore(session, start)
        _describe_run(folder, config, accelerator)  # not before it is known that the checkpoint fits
    if config.torch_compile:
        compile_blocks(models.unet)
        if config.use_color_loss:
            compile_blocks(models.vae.decoder)
    session.denoiser, session.optimizer = accelerator.prepare(session.plain, session.optimizer)
    session.denoiser.train()
    record.start(session.step)
    if session.main:
        write_state(folder, state="running", step=session.step, warnings=record.warnings)
    return session


def _warn(config: TrainConfig, folder: Path, inputs: Inputs, rows: list[Row], start: Path | None) -> list[str]:
    """What is odd, before anything is loaded; of a resumed run, in what it differs from what it was."""
    warnings = []
    if config.report_to != "none" and not _tracker(config):
        warnings.append(
            f"{config.report_to} is not installed, metrics.jsonl alone is written: pip install {config.report_to}"
        )
    if start:
        warnings += other_settings(config, load_config(folder / "config.yaml"))
        changed = changed_rows(folder, rows)
        return [*warnings, changed] if changed else warnings
    return warnings + warn_early(config, inputs.family, [s for rows in inputs.splits.values() for s in rows])


def _set_up(
    config: TrainConfig,
    accelerator: Accelerator,
    models: Models,
    splits: Splits,
    files: FileIndex,
    folder: Path,
    record: Record,
) -> Session:
    """Data encoded, what learns attached, its optimizer made."""
    repaints = pick_samples(splits.get("validation", splits["train"]), config.num_validation_images)
    plain, saves = attach(config, models, METHODS[config.method], record.say)

    def encode(samples: list[Sample], flip: bool) -> Encoded:
        workers = config.dataloader_num_workers
        views = list_views(samples, files, sizes, flip, workers)
        return encode_views(models, views, config.cache_dir, encoding_options(config), workers, record.say)

    with accelerator.main_process_first():  # the others then find everything in the cache
        sizes = dataset_sizes(splits, files, models.family)
        encoded = encode(splits["train"], config.random_flip)
        goals = [after for _, after in repaints] if config.validation_steps else []
        held_out = encode(goals, False) if goals else None
    record.say(_describe(encoded, splits))
    groups = parameter_groups(plain)
    learned = {name: value for group in METHODS[config.method].learns for name, value in groups[group].items()}
    ema = {name: parameter.detach().clone() for name, parameter in learned.items()} if config.use_ema else {}
    decay, steps = config.adam_weight_decay, config.max_train_steps
    adam = torch.optim.AdamW(learned.values(), lr=config.learning_rate, weight_decay=decay, fused=True)
    warmup = config.lr_warmup_steps
    schedule = get_scheduler(config.lr_scheduler, adam, num_warmup_steps=warmup, num_training_steps=steps)
    data = (splits, encoded, held_out, repaints)
    return Session(config, accelerator, models, *data, folder, record, plain, saves, learned, ema, adam, schedule)


def _accelerate(config: TrainConfig, folder: Path) -> tuple[Accelerator, Runtime]:
    """Accelerate's view of this process, and the runtime on its device."""
    runtime = pick_runtime(config.device, config.mixed_precision)
    torch.backends.cudnn.benchmark = True  # shapes hardly change; bit for bit the same is promised of CPUs
    places = ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "logs"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wishes for an oneAPI build on a CPU
        accelerator = Accelerator(
            mixed_precision=runtime.mixed_precision,
            cpu=runtime.device.type == "cpu",
            log_with=_tracker(config),
            project_config=places,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PROCESS_TIMEOUT)],
        )
    return accelerator, replace(runtime, device=accelerator.device)


def _tracker(config: TrainConfig) -> str | None:
    """The tracker that is asked for and installed; metrics.jsonl is written in any case."""
    installed = config.report_to != "none" and importlib.util.find_spec(config.report_to)
    return config.report_to if installed else None


def _open_folder(folder: Path, config: TrainConfig, accelerator: Accelerator, fresh: bool) -> None:
    """Make the run folder, say what a fresh run is, start the tracker."""
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    if fresh:
        _describe_run(folder, config, accelerator)
    if accelerator.log_with:
        accelerator.init_trackers("wallpaint")


def _describe_run(folder: Path, config: TrainConfig, accelerator: Accelerator) -> None:
    """Write config.yaml and the facts of run.json."""
    if accelerator.is_main_process:
        with atomic_path(folder / "config.yaml") as path:
            path.write_text(to_yaml(replace(config, output_dir=str(folder))), encoding="utf-8")
        versions = {module.__name__: module.__version__ for module in (torch, diffusers, transformers, peft)}
        write_state(
            folder,
            state="starting",
            pid=os.getpid(),
            exit_code=None,
            num_processes=accelerator.num_processes,
            method=config.method,
            family=config.family,
            max_train_steps=config.max_train_steps,
            versions={"python": platform.python_version(), **versions},
        )


def _describe(encoded: Encoded, splits: dict[str, list[Sample]]) -> str:
    """One line for the log: a mask that covers nothing, or everything, shows here before an hour is spent."""
    shares = encoded.wall_shares()
    held = f"{len(splits['validation'])} held out" if "validation" in splits else "no validation split"
    return (
        f"{len(encoded)} samples ({encoded.new_rows} rows newly encoded), {held}; walls cover "
        f"{shares.mean():.0%} of a picture ({shares.min():.0%} to {shares.max():.0%})"
    )


def _restore(session: Session, path: Path) -> None:
    """Put a checkpoint in place."""
    expected = session.tensors()
    session.step, tensors, states = load_checkpoint(path, expected)
    with torch.no_grad():
        for name, values in expected.items():
            for key, value in values.items():
                value.copy_(tensors[name][key])
    session.optimizer.load_state_dict(states["optimizer"])
    session.schedule.load_state_dict(states["schedule"])
    if session.accelerator.scaler and "scaler" in states:
        session.accelerator.scaler.load_state_dict(states["scaler"])
