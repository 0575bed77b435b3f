"""What is shown before a run starts: what learns, from what, how long, and what may go wrong."""

import functools
import statistics
from pathlib import Path

import numpy as np

from wallpaint.dataset.folder import read_splits
from wallpaint.dataset.metadata import SPLITS, find_metadata
from wallpaint.dataset.rows import Sample
from wallpaint.disk import written
from wallpaint.errors import UserError
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import data_url, load_mask
from wallpaint.runs.device import GB
from wallpaint.runs.forecast import Expected, expect
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig
from wallpaint.ui.gallery import draw_sample
from wallpaint.ui.html import render
from wallpaint.ui.words.words import t

THUMB = 132
MASKS = 48  # whose coverage is measured; more of them tell nothing new
EXACT = 600  # seconds up to which a duration is written to the second
FEW = 12  # training samples below which a warning is due
Splits = dict[str, list[Sample]]
Coverage = tuple[float, float, float]  # smallest, mean and largest share of a picture that is wall


def draw_preflight(config: TrainConfig, workspace: Path, language: str) -> str:
    """Give the plan of a run as HTML; UserError when its dataset cannot be read."""
    stamps = tuple(written(find_metadata(Path(config.dataset) / split)) for split in SPLITS)
    splits, coverage = look_at_dataset(config.dataset, stamps)
    expected, method, train = expect(config, workspace), METHODS[config.method], splits["train"]
    return render(
        "train/plan.html",
        language,
        config=config,
        method=method,
        adapter=adapter_of(method),
        facts=list_facts(config, splits, coverage, expected, language),
        warnings=list_warnings(config, splits, coverage, expected),
        samples=[found for sample in train[:: max(1, len(train) // 4)][:4] if (found := show_sample(sample))],
    )


def list_facts(
    config: TrainConfig, splits: Splits, coverage: Coverage, expected: Expected, language: str
) -> dict[str, str]:
    """Say, by the key of its title, what the run learns by and from, how long it takes, how much memory, where."""
    start, weight = config.color_loss_start_step, f"{config.color_loss_weight:g}"
    train, held = splits["train"], len(splits.get("validation", []))
    rooms, (low, mean, high) = len({sample.room_id for sample in train}), (f"{100 * part:.0f} %" for part in coverage)
    need, free = (f"{size / GB:.1f}" for size in (expected.memory, expected.device.free))
    time = t("time_unknown", language)
    if expected.seconds is not None:
        key = "time_here" if expected.here else "time_elsewhere"
        time = t(key, language, time=write_duration(expected.seconds, language), run=expected.earlier)
    batch = config.train_batch_size * config.gradient_accumulation_steps
    steps = {
        "steps": config.max_train_steps,
        "batch": batch,
        "seen": round(config.max_train_steps * batch / len(train)),
    }
    every, looks = config.validation_steps, ""
    if every:
        key = "looks_said" if every < config.max_train_steps else "looks_at_the_ends"
        looks = t(key, language, every=every, count=-(-config.max_train_steps // every) + 1)
    losses = " + ".join(t(f"loss_{name}", language, step=start, weight=weight) for name in ("diffusion", "color"))
    device = expected.device.name if expected.device.kind == "cuda" else "CPU"
    memory = {"need": need, "free": free, "device": device}
    facts = {
        "fact_steps": t("steps_said", language, **steps),
        "fact_looks": looks,
        "fact_losses": losses if config.use_color_loss else "",
        "fact_data": t("data_said", language, train=len(train), rooms=rooms, held=held, low=low, mean=mean, high=high),
        "fact_time": time,
        "fact_memory": t("memory_known" if expected.measured else "memory_reckoned", language, **memory),
    }
    return {key: fact for key, fact in facts.items() if fact}


def list_warnings(config: TrainConfig, splits: Splits, coverage: Coverage, expected: Expected) -> list[str]:
    """Give the keys of what may go wrong."""
    warnings = {
        "warn_few": len(splits["train"]) < FEW,
        "warn_no_validation": not splits.get("validation"),
        "warn_empty_mask": coverage[0] < 0.005,
        "warn_checkpoints": config.checkpointing_steps == 0 and config.max_train_steps > 500,
        "warn_memory": expected.memory > expected.device.free,
        "warn_slow": expected.device.kind == "cpu" and config.family != "room-tiny",
        "warn_no_adapter": METHODS[config.method].conditions == ("text",),
    }
    return [key for key, due in warnings.items() if due]


def adapter_of(method: Method) -> str:
    """Tell whether the image adapter is absent, frozen or learning while a method trains."""
    if "image_prompt" not in method.conditions:
        return "absent"
    return "learning" if "ip_adapter" in method.learns else "frozen"


@functools.lru_cache(maxsize=8)
def look_at_dataset(folder: str, stamps: tuple[int, ...]) -> tuple[Splits, Coverage]:
    """Read a dataset's splits and how much of a picture its walls cover; `stamps` say when each was written."""
    splits = read_splits(folder)
    train = splits["train"]
    shares = [_coverage(sample.mask) for sample in train[:: max(1, len(train) // MASKS)]] or [0.0]
    return splits, (min(shares), statistics.fmean(shares), max(shares))


def _coverage(mask: Path) -> float:
    try:
        image = load_mask(mask)
    except UserError:
        return 0.0
    return float((np.asarray(image.resize((64, 64))) >= 128).mean())


def write_duration(seconds: float, language: str) -> str:
    """Write 75 as '1 min 15 s', 790 as '13 min', 7500 as '2 h 5 min', in the reader's language."""
    whole = round(seconds) if seconds < EXACT else 60 * round(seconds / 60)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    key = "duration_hours" if hours else "duration_minutes" if minutes and rest else "duration_whole_minutes"
    key = key if hours or minutes else "duration_seconds"
    return t(key, language, hours=hours, minutes=minutes, seconds=rest)


def show_sample(sample: Sample) -> tuple[str, str, str] | None:
    """Give (picture, paint, room) of a sample as the trainer takes it, its wall tinted; None if it is unreadable."""
    try:
        shown = draw_sample(sample.image, sample.mask, THUMB)
    except UserError:  # the trainer will say what is wrong with it
        return None
    return data_url(shown, quality=90), Swatch(sample.color).hex, sample.room_id
