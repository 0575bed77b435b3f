"""train(config) -> run folder: the only training loop, for every method.

A step, whatever the method: noised = add_noise(batch); noise_pred = denoiser(noised, batch); the losses of
the table; backward. A step's batch, noise, timesteps and dropout are a function of (seed, step) alone, so a
run that was stopped and resumed ends bit-identical, on a CPU, to one that was not.
"""

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import torch

from wallpaint.cache.ahead import one_ahead
from wallpaint.cache.batches import Batch, draw_batch
from wallpaint.cache.draws import Draws, sample_draws, step_generator
from wallpaint.learned.denoiser import Noised, add_noise
from wallpaint.runs.state import write_state
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.losses import LOSSES, Step
from wallpaint.train.preflight import preflight
from wallpaint.train.saving import close_session, keep, update_average, watch
from wallpaint.train.session import Session, open_session

NON_FINITE_LIMIT = 20


def train(config: TrainConfig, resume: bool = False) -> Path:
    """Train as `config` says and return the run folder; `run.json` there says how it ended.

    SIGINT and SIGTERM end it after the running step with a checkpoint, state `stopped` and exit code 130.

    Args:
        config: checked settings.
        resume: go on from the last checkpoint in `config.output_dir`.

    Raises:
        UserError: the dataset, the models or the checkpoint are missing or do not fit.
        RuntimeError: the loss was not finite NON_FINITE_LIMIT times running.
    """
    session = open_session(config, resume)
    accelerator, record = session.accelerator, session.record
    told, pieces = Told(), draw_pieces(session)
    with stop_signals() as stopped:
        if session.main and session.step == 0:
            write_state(session.folder, preflight=preflight(session))
        # What the family does before it has learned, or a validation that a signal cut short.
        missing = due(config, session.step) and not record.has_figures(session.step)
        if figures := watch(session, lambda: bool(stopped)) if missing else {}:
            record.log({"step": session.step, **figures})
            accelerator.log(figures, step=session.step)
        seen, since = 0, time.perf_counter()
        while session.step < config.max_train_steps and not _any(stopped, accelerator):
            rate = session.schedule.get_last_lr()[0]
            take_step(session, told, pieces)
            session.step = step = session.step + 1
            seen += whole_batch(session)

            last = step == config.max_train_steps
            watching = due(config, step)
            logging = last or watching or step % config.logging_steps == 0
            if logging or len(told.good) == NON_FINITE_LIMIT:  # only here the device is waited for
                _check(told, session)
            if logging:
                pace = seen / (time.perf_counter() - since)
                means = told.means()
                row = {
                    "step": step,
                    "loss": sum(means.values()),
                    **means,
                    "lr": rate,
                    "samples_per_second": pace,
                    **({"skipped_steps": told.skipped} if told.skipped else {}),
                }
                row |= watch(session, lambda: bool(stopped)) if watching else {}
                record.log(row)
                accelerator.log(row, step=step)
                if session.main:
                    write_state(session.folder, step=step)
                told.losses.clear()
                seen, since = 0, time.perf_counter()
            if config.checkpointing_steps and step % config.checkpointing_steps == 0 and not last:
                keep(session)
        return close_session(session)


def due(config: TrainConfig, step: int) -> bool:
    """Whether the validation rooms are painted after this many steps: at the start, at times, at the end."""
    last = step == config.max_train_steps
    return bool(config.validation_steps) and (last or step % config.validation_steps == 0)


@dataclass
class Told:
    """What the steps since the last look said, still on the device: reading it would wait for the device."""

    losses: dict[str, list[torch.Tensor]] = field(default_factory=dict)  # one a batch, by name
    good: list[torch.Tensor] = field(default_factory=list)  # of each step, whether all in it was finite
    skipped: int = 0  # steps up to the last look
    bad_running: int = 0  # the last of them

    def means(self) -> dict[str, float]:
        """The mean of each loss over what was finite, as `loss_<name>`."""
        means: dict[str, float] = {}
        for name, values in self.losses.items():
            finite = [value for value in torch.stack(values).tolist() if math.isfinite(value)]
            means |= {f"loss_{name}": sum(finite) / len(finite)} if finite else {}
        return means


def whole_batch(session: Session) -> int:
    """Samples a step, of all processes and accumulated batches together."""
    config = session.config
    return config.train_batch_size * config.gradient_accumulation_steps * session.accelerator.num_processes


@dataclass(frozen=True)
class Piece:
    """What is drawn for one pass through the denoiser: on the CPU, and on its way to the device."""

    draws: Draws
    drawn: tuple[Batch, Noised]  # choices made with these wait for no device
    sent: tuple[Batch, Noised]


def draw_pieces(session: Session) -> Iterator[Piece]:
    """This process's pieces of the batches from `session.step` on, drawn one ahead in a thread.

    A piece is of the batch that one process without accumulation would hold: their steps are the same.
    """
    config, accelerator, size = session.config, session.accelerator, session.config.train_batch_size
    pieces, processes = config.gradient_accumulation_steps, accelerator.num_processes
    drops = (config.image_drop_prob, config.text_drop_prob, config.both_drop_prob)

    def draw(number: int) -> Piece:
        step, piece = divmod(number, pieces)
        first = (piece * processes + accelerator.process_index) * size
        draws = sample_draws(size, first, config.seed, step)
        batch = draw_batch(
            session.encoded, draws, step, config.seed, whole_batch(session), drops, first, config.random_mask_prob
        )
        noised = add_noise(batch.latents, session.models.noise_scheduler, draws, config.noise_offset)
        return Piece(draws, (batch, noised), (batch.to(accelerator.device), noised.to(accelerator.device)))

    return one_ahead(draw, count(session.step * pieces))


def take_step(session: Session, told: Told, pieces: Iterator[Piece]) -> None:
    """One training step, `session.step`, on the next of `pieces`; nothing in it waits for the device.

    A step that is not finite somewhere moves no weight: the fused optimizer is told on the device.
    """
    config, accelerator, step = session.config, session.accelerator, session.step
    good = torch.ones((), dtype=torch.bool, device=accelerator.device)
    dropout = step_generator(config.seed, step, accelerator.process_index)
    torch.manual_seed(dropout.initial_seed())  # of the LoRA
    for piece in islice(pieces, config.gradient_accumulation_steps):
        batch, noised = piece.sent
        with accelerator.autocast():
            noise_pred = session.denoiser(noised, batch)
        look = Step(noise_pred, noised, batch, session.models, config, piece.draws, piece.drawn)
        losses = {name: weight * LOSSES[name](look) for name, weight in active_losses(config, step).items()}
        loss = sum(losses.values())
        good &= torch.isfinite(accelerator.gather(loss.detach())).all()
        accelerator.backward(loss / config.gradient_accumulation_steps)
        for name, value in losses.items():
            told.losses.setdefault(name, []).append(value.detach())
    norm = accelerator.clip_grad_norm_(session.learned.values(), config.max_grad_norm)
    good &= torch.isfinite(norm)
    session.optimizer.optimizer.found_inf = (~good).float()  # fused AdamW then leaves everything as it was
    session.optimizer.step()
    update_average(session)
    session.schedule.step()
    session.optimizer.zero_grad(set_to_none=True)
    told.good.append(good)


def _check(told: Told, session: Session) -> None:
    """Say which of the last steps were skipped; stop, with the last good weights, where none has counted."""
    step = session.step
    first = step - len(told.good) + 1
    for number, good in enumerate(torch.stack(told.good).tolist(), first):
        told.bad_running = 0 if good else told.bad_running + 1
        if not good:
            told.skipped += 1
            session.record.say(f"step {number}: the loss or its gradient is not finite, the step is skipped")
    told.good.clear()
    if told.bad_running >= NON_FINITE_LIMIT:
        keep(session)
        raise RuntimeError(
            f"the loss was not finite {told.bad_running} times running, up to step {step}: "
            "lower learning_rate, or train with mixed_precision no"
        )


def active_losses(config: TrainConfig, step: int) -> dict[str, float]:
    """The losses of this step with their weights."""
    weights = {"diffusion": 1.0}
    if config.use_color_loss and step >= config.color_loss_start_step:
        weights["color"] = config.color_loss_weight
    return weights


def _any(stopped: list[int], accelerator) -> bool:
    """Whether any process was asked to stop: they have to leave the loop together."""
    if accelerator.num_processes == 1:
        return bool(stopped)
    return bool(accelerator.gather(torch.tensor([len(stopped)], device=accelerator.device)).any())


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list that is empty until one comes; a second one interrupts at once."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    try:
        old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: no signal is delivered here
        old = {}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
