"""train(config) -> run folder: the only training loop, for every method.

A step, whatever the method: noised = add_noise(batch); noise_pred = denoiser(noised, batch); the losses of
the table; backward. A step's batch, noise, timesteps and dropout are a function of (seed, step) alone, so a
run that was stopped and resumed ends bit-identical, on a CPU, to one that was not.
"""

import gc
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import torch

from wallpaint.cache.batches import Batch, BatchSettings, draw_batch
from wallpaint.cache.draws import Draws, sample_draws, step_generator
from wallpaint.cache.prefetch import prefetch
from wallpaint.learned.denoiser import Noised, add_noise
from wallpaint.process import stop_signals
from wallpaint.runs.state import write_state
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.inputs import Inputs
from wallpaint.train.losses import LOSSES, Step
from wallpaint.train.preflight import preflight
from wallpaint.train.saving import close_session, run_validation, save_session, update_average
from wallpaint.train.session import Session, open_session

NON_FINITE_LIMIT = 20  # steps in a row that are skipped before a run is given up


def train(config: TrainConfig, resume: bool = False, inputs: Inputs | None = None) -> Path:
    """Train as `config` says and return the run folder; `run.json` there says how it ended.

    SIGINT, SIGTERM and SIGHUP (a terminal that closes) end it after the running step with a checkpoint, state
    `stopped` and exit code 130; `resume` goes on from the last checkpoint in `config.output_dir`.
    `inputs` are those of `config`, where they have been read.

    Raises:
        UserError: the dataset, the models or the checkpoint are missing or do not fit.
        RuntimeError: the loss was not finite NON_FINITE_LIMIT times in a row.
    """
    gc.unfreeze()  # of an earlier run of this process
    session = open_session(config, resume, inputs)
    gc.freeze()  # its rows are no garbage, see collector_paused
    microbatches = draw_microbatches(session)
    with stop_signals() as signals:
        describe_start(session, signals)
        log = StepLog()
        while session.step < config.max_train_steps and not _any_signal(signals, session):
            take_step(session, log, microbatches)
            session.step = step = session.step + 1

            last, validate = step == config.max_train_steps, validation_due(config, step)
            if last or validate or step % config.logging_steps == 0:
                log_step(session, log, validate, signals)
                log = StepLog(skipped=log.skipped, skipped_in_a_row=log.skipped_in_a_row)
            elif len(log.finite) == NON_FINITE_LIMIT:
                check_finite(session, log)

            if config.checkpointing_steps and step % config.checkpointing_steps == 0 and not last:
                save_session(session)
        return close_session(session)


def describe_start(session: Session, signals: list[int]) -> None:
    """Say what the run is about to do, and what the family does before it has learned.

    After a resume only a validation that a signal cut short is made up for.
    """
    step, record = session.step, session.record
    if session.main and step == 0:
        write_state(session.folder, preflight=preflight(session))
    missing = validation_due(session.config, step) and not record.has_figures(step)
    if figures := run_validation(session, lambda: bool(signals)) if missing else {}:
        record.log({"step": step, **figures})
        session.accelerator.log(figures, step=step)


def validation_due(config: TrainConfig, step: int) -> bool:
    """Whether the validation rooms are painted after this many steps: at the start, at times, at the end."""
    last = step == config.max_train_steps
    return bool(config.validation_steps) and (last or step % config.validation_steps == 0)


@dataclass
class StepLog:
    """What is logged of the steps since the last logged one; tensors stay on the device: reading one waits for it."""

    losses: dict[str, list[torch.Tensor]] = field(default_factory=dict)  # one a microbatch, by name
    finite: list[torch.Tensor] = field(default_factory=list)  # of each unchecked step, whether all in it was
    skipped: int = 0  # steps of the whole run that were not finite
    skipped_in_a_row: int = 0  # the last of them
    learning_rate: float = 0.0  # of the last step
    samples: int = 0
    started: float = field(default_factory=time.perf_counter)

    def means(self) -> dict[str, float]:
        """The mean of each loss over what was finite, as `loss_<name>`."""
        means: dict[str, float] = {}
        for name, values in self.losses.items():
            finite = [value for value in torch.stack(values).tolist() if math.isfinite(value)]
            means |= {f"loss_{name}": sum(finite) / len(finite)} if finite else {}
        return means


def log_step(session: Session, log: StepLog, validate: bool, signals: list[int]) -> None:
    """Log the losses and the pace since the last logged step, and validate where it is due."""
    check_finite(session, log)
    pace = log.samples / (time.perf_counter() - log.started)
    means = log.means()
    row = {"step": session.step, "loss": sum(means.values()), **means, "lr": log.learning_rate}
    row |= {"samples_per_second": pace, **({"skipped_steps": log.skipped} if log.skipped else {})}
    row |= run_validation(session, lambda: bool(signals)) if validate else {}
    session.record.log(row)
    session.accelerator.log(row, step=session.step)
    if session.main:
        write_state(session.folder, step=session.step)


def check_finite(session: Session, log: StepLog) -> None:
    """Say which of the last steps were skipped; stop, with the last good weights, where none has counted."""
    first = session.step - len(log.finite) + 1
    for number, finite in enumerate(torch.stack(log.finite).tolist(), first):
        log.skipped_in_a_row = 0 if finite else log.skipped_in_a_row + 1
        if not finite:
            log.skipped += 1
            session.record.say(f"step {number}: the loss or its gradient is not finite, the step is skipped")
    log.finite.clear()
    if log.skipped_in_a_row >= NON_FINITE_LIMIT:
        save_session(session)
        raise RuntimeError(
            f"the loss was not finite {log.skipped_in_a_row} times running, up to step {session.step}: "
            "lower learning_rate, or train with mixed_precision no"
        )


@dataclass(frozen=True)
class Microbatch:
    """What is drawn for one pass through the denoiser: on the CPU, and on its way to the device."""

    draws: Draws
    drawn: tuple[Batch, Noised]  # choices made with these wait for no device
    sent: tuple[Batch, Noised]


def draw_microbatches(session: Session) -> Iterator[Microbatch]:
    """This process's microbatches from `session.step` on, drawn one ahead in a thread.

    Together the microbatches of a step are the batch that one process without accumulation would draw.
    """
    config, accelerator, size = session.config, session.accelerator, session.config.train_batch_size
    accumulation, processes = config.gradient_accumulation_steps, accelerator.num_processes
    drops = (config.image_drop_prob, config.text_drop_prob, config.both_drop_prob)
    settings = BatchSettings(config.seed, size * accumulation * processes, *drops, config.random_mask_prob)

    def draw(number: int) -> Microbatch:
        step, microstep = divmod(number, accumulation)
        first = (microstep * processes + accelerator.process_index) * size
        draws = sample_draws(size, first, config.seed, step)
        batch = draw_batch(session.encoded, draws, step, settings, first)
        noised = add_noise(
            batch.latents, session.models.noise_scheduler, draws, config.noise_offset, config.timestep_bias
        )
        return Microbatch(draws, (batch, noised), (batch.to(accelerator.device), noised.to(accelerator.device)))

    return prefetch(draw, count(session.step * accumulation))


def take_step(session: Session, log: StepLog, microbatches: Iterator[Microbatch]) -> None:
    """One training step, `session.step`, on the next of `microbatches`; nothing in it waits for the device.

    A step that is not finite somewhere moves no weight: the fused optimizer is told on the device.
    """
    config, accelerator, step = session.config, session.accelerator, session.step
    finite = torch.ones((), dtype=torch.bool, device=accelerator.device)
    dropout = step_generator(config.seed, step, accelerator.process_index)
    torch.manual_seed(dropout.initial_seed())  # of the LoRA
    for microbatch in islice(microbatches, config.gradient_accumulation_steps):
        batch, noised = microbatch.sent
        with accelerator.autocast():
            noise_pred = session.denoiser(noised, batch)
        inputs = Step(noise_pred, noised, batch, session.models, config, microbatch.draws, microbatch.drawn)
        losses = {name: weight * LOSSES[name](inputs) for name, weight in active_losses(config, step).items()}
        loss = sum(losses.values())
        finite &= torch.isfinite(accelerator.gather(loss.detach())).all()
        accelerator.backward(loss / config.gradient_accumulation_steps)
        log.samples += config.train_batch_size * accelerator.num_processes
        for name, value in losses.items():
            log.losses.setdefault(name, []).append(value.detach())
    norm = accelerator.clip_grad_norm_(session.learned.values(), config.max_grad_norm)
    finite &= torch.isfinite(norm)
    session.optimizer.optimizer.found_inf = (~finite).float()  # fused AdamW then leaves everything as it was
    session.optimizer.step()
    update_average(session)
    log.learning_rate = session.schedule.get_last_lr()[0]
    session.schedule.step()
    session.optimizer.zero_grad(set_to_none=True)
    log.finite.append(finite)


def active_losses(config: TrainConfig, step: int) -> dict[str, float]:
    """The losses of this step with their weights."""
    weights = {"diffusion": 1.0}
    if config.use_color_loss and step >= config.color_loss_start_step:
        weights["color"] = config.color_loss_weight
    return weights


def _any_signal(signals: list[int], session: Session) -> bool:
    """Whether any process was asked to stop: they have to leave the loop together."""
    accelerator = session.accelerator
    if accelerator.num_processes == 1:
        return bool(signals)
    return bool(accelerator.gather(torch.tensor([len(signals)], device=accelerator.device)).any())
