"""What a session saves of what it learns: checkpoints, weights, the best of them, pictures, its end."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from wallpaint.learned.cards import write_card
from wallpaint.learned.weights import save_weights
from wallpaint.runs.state import write_state
from wallpaint.train.checkpoints import atomic_folder, mend_folder, save_checkpoint
from wallpaint.train.session import Session
from wallpaint.train.validation import validate, validation_loss

EMA_DECAY = 0.999
WEIGHTS, BEST = "weights", "weights-best"
COLOR_FIGURES = ("delta_e_truth", "delta_e_paint")  # the first that is known judges


def run_validation(session: Session, stopped: Callable[[], bool]) -> dict[str, float]:
    """Measure what is learned so far on the validation rooms, paint them, and keep the best weights.

    Returns:
        `validation_loss`, `delta_e_truth`, `delta_e_paint`; nothing in processes other than the main one, nor
        where it was stopped in the middle.
    """
    if session.held_out is None or not session.main:
        return {}
    path = session.folder / "samples" / f"step-{session.step:06d}.png"
    with averaged(session):
        with session.accelerator.autocast():
            loss = validation_loss(session.models, session.plain, session.held_out, session.config)
        painted = validate(session.models, session.config, session.repaints, path, stopped)
        if not painted:
            return {}
        session.figures = loss | painted
        save_best(session)
    return session.figures


def save_best(session: Session) -> None:
    """Save these weights in `weights-best/` if no step's colour was nearer; step 0 has learned nothing."""
    folder = session.folder / BEST
    mend_folder(folder)
    name = next((name for name in COLOR_FIGURES if name in session.figures), None)
    if name is None or not session.step:
        return
    try:
        best = json.loads((folder / "best.json").read_text(encoding="utf-8")).get(name, math.inf)
    except (OSError, ValueError):
        best = math.inf
    if session.figures[name] <= best:
        with atomic_folder(folder) as temporary:
            earlier = (session.folder / WEIGHTS, folder)
            save_weights(temporary, session.models, session.saves, earlier, session.method.shown)
            figures = {"step": session.step, **session.figures}
            (temporary / "best.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def save_session(session: Session) -> None:
    """Save a checkpoint to resume from, and the weights to paint with."""
    if not session.main:
        return
    scaler = session.accelerator.scaler
    states = {"optimizer": session.optimizer.state_dict(), "schedule": session.schedule.state_dict()}
    states |= {"scaler": scaler.state_dict()} if scaler else {}
    limit = session.config.checkpoints_total_limit
    save_checkpoint(session.folder, session.step, session.tensors(), states, limit)
    with averaged(session):
        earlier = (session.folder / BEST,)
        save_weights(session.folder / WEIGHTS, session.models, session.saves, earlier, session.method.shown)


def close_session(session: Session) -> Path:
    """Save all, write the model card and how the run ended."""
    save_session(session)
    session.accelerator.end_training()
    if session.main:
        done = session.step == session.config.max_train_steps
        write_card(
            session.folder,
            session.config,
            session.step,
            {split: len(rows) for split, rows in session.splits.items()},
            session.figures,
            session.accelerator.num_processes,
        )
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
    weights = {name: session.learned[name].data for name in session.ema}
    for name, average in session.ema.items():
        session.learned[name].data = average
    try:
        yield
    finally:
        for name, value in weights.items():
            session.learned[name].data = value
