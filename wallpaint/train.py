"""train(config) -> run folder: the only training loop, for every method.

A step, whatever the method: noised = add_noise(batch); noise_pred = denoiser(noised, batch); the losses of
the table; backward. A step's batch, noise, timesteps and dropout are a function of (seed, step) alone, so a
run that was stopped and resumed ends bit-identical, on a CPU, to one that was not.
"""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from wallpaint.cache import draw_batch, step_generator
from wallpaint.config import TrainConfig
from wallpaint.denoiser import add_noise
from wallpaint.losses import LOSSES, Step
from wallpaint.runs import write_state
from wallpaint.session import close_session, keep, open_session, update_average, watch

NON_FINITE_LIMIT = 20


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
    session = open_session(config, resume)
    accelerator, denoiser, record = session.accelerator, session.denoiser, session.record
    rank, processes = accelerator.process_index, accelerator.num_processes
    drops = (config.image_drop_prob, config.text_drop_prob, config.both_drop_prob)

    if session.step == 0 and (figures := watch(session)):  # what the family does before it has learned
        record.log({"step": 0, **figures})
    sums: dict[str, list[float]] = {}
    seen, since, bad = 0, time.perf_counter(), 0
    with stop_signals() as stopped:
        while session.step < config.max_train_steps and not _any(stopped, accelerator):
            step = session.step
            rate = session.schedule.get_last_lr()[0]

            # ---- one training step
            torch.manual_seed(step_generator(config.seed, step, rank).initial_seed())  # LoRA dropout
            for micro in range(config.gradient_accumulation_steps):
                generator = step_generator(config.seed, step, micro, rank)
                number = (step * config.gradient_accumulation_steps + micro) * processes + rank
                batch = draw_batch(
                    session.encoded, generator, number, config.seed, config.train_batch_size, drops
                )
                batch = batch.to(accelerator.device)
                noised = add_noise(
                    batch.latents, session.models.noise_scheduler, generator, config.noise_offset
                )
                with accelerator.autocast():
                    noise_pred = denoiser(noised, batch)
                look = Step(noise_pred, noised, batch, session.models, config, generator)
                losses = {
                    name: weight * LOSSES[name](look) for name, weight in active_losses(config, step).items()
                }
                loss = sum(losses.values())
                finite = bool(torch.isfinite(accelerator.gather(loss.detach())).all())
                if not finite:
                    break
                accelerator.backward(loss / config.gradient_accumulation_steps)
                for name, value in losses.items():
                    sums.setdefault(f"loss_{name}", []).append(value.item())
                seen += config.train_batch_size * processes
            if finite:
                accelerator.clip_grad_norm_(session.learned.values(), config.max_grad_norm)
                session.optimizer.step()
                update_average(session)
                session.schedule.step()
            session.optimizer.zero_grad(set_to_none=True)
            session.step = step = step + 1
            # ---- the step is done

            bad = 0 if finite else bad + 1
            if bad:
                record.say(f"step {step}: the loss is not finite, the step is skipped")
            if bad == NON_FINITE_LIMIT:
                raise RuntimeError(f"the loss was not finite {bad} times running, up to step {step}: "
                                   "lower learning_rate, or train with mixed_precision no")  # fmt: skip
            last = step == config.max_train_steps
            watching = config.validation_steps and (last or step % config.validation_steps == 0)
            if last or watching or step % config.logging_steps == 0:
                pace = seen / (time.perf_counter() - since)
                means = {name: sum(values) / len(values) for name, values in sums.items()}
                row = {
                    "step": step,
                    "loss": sum(means.values()),
                    **means,
                    "lr": rate,
                    "samples_per_second": pace,
                }
                row |= watch(session) if watching else {}
                record.log(row)
                accelerator.log(row, step=step)
                if session.main:
                    write_state(session.folder, step=step)
                sums, seen, since = {}, 0, time.perf_counter()
            if config.checkpointing_steps and step % config.checkpointing_steps == 0 and not last:
                keep(session)
    return close_session(session)


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
