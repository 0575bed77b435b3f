"""What is shown before a run starts: what learns, from what, how long, and what may go wrong."""

import functools
import statistics
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.dataset.folder import read_splits
from wallpaint.dataset.rows import Sample, find_metadata
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.report.pages import data_uri
from wallpaint.runs.forecast import GB, Expected, expect
from wallpaint.settings.methods import METHODS, Method
from wallpaint.settings.train_config import TrainConfig
from wallpaint.ui.words.words import t

TINT = (255, 64, 129)
THUMB = 132
MASKS = 48  # whose coverage is measured; more of them tell nothing new
FEW = 12  # training samples below which a warning is due
Splits = dict[str, list[Sample]]
Coverage = tuple[float, float, float]  # smallest, mean and largest share of a picture that is wall


def draw_preflight(config: TrainConfig, workspace: Path, language: str) -> str:
    """Give the plan of a run as HTML; UserError when its dataset cannot be read."""
    metadata = find_metadata(Path(config.dataset) / "train")
    stamp = metadata.stat().st_mtime_ns if metadata.is_file() else 0
    splits, coverage = look_at_dataset(config.dataset, stamp)
    expected = expect(config, workspace)
    adapter = adapter_of(METHODS[config.method])
    facts = {
        "adapter": f'<span class="pill {adapter}">{t(f"adapter_{adapter}", language)}</span>',
        "learns": write_learns(config, language),
        "losses": write_losses(config, language),
        "data": write_data(splits, coverage, language),
        "time": write_time(expected, language),
        "memory": write_memory(expected, language),
        "device": escape(expected.device.name),
    }
    rows = "".join(f"<dt>{t(f'fact_{name}', language)}</dt><dd>{said}</dd>" for name, said in facts.items())
    warnings = "".join(f"<li>{t(key, language)}</li>" for key in list_warnings(config, splits, coverage, expected))
    warnings = f'<ul class="warnings">{warnings}</ul>' if warnings else ""
    strip = draw_strip(splits["train"], language)
    return f'<section class="card" id="preflight"><dl>{rows}</dl>{warnings}{strip}</section>'


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
def look_at_dataset(folder: str, stamp: int) -> tuple[Splits, Coverage]:
    """Read a dataset's splits and how much of a picture its walls cover; `stamp` is when it was written."""
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


def write_learns(config: TrainConfig, language: str) -> str:
    """Name what may move; everything else stays as it is, to the bit."""
    names = [t(f"learns_{group}", language, rank=config.lora_rank) for group in METHODS[config.method].learns]
    return f"<b>{' + '.join(names)}</b> <small>{t('rest_frozen', language)}</small>"


def write_losses(config: TrainConfig, language: str) -> str:
    """Name the losses, with the step from which the colour loss acts."""
    start, weight = config.color_loss_start_step, f"{config.color_loss_weight:g}"
    names = ("diffusion", "color") if config.use_color_loss else ("diffusion",)
    return " + ".join(t(f"loss_{name}", language, step=start, weight=weight) for name in names)


def write_data(splits: Splits, coverage: Coverage, language: str) -> str:
    """Count samples and rooms, and tell how much of a picture is wall."""
    low, mean, high = (f"{share:.0%}" for share in coverage)
    train, held = splits["train"], len(splits.get("validation", []))
    rooms = len({sample.room_id for sample in train})
    return t("data_said", language, train=len(train), rooms=rooms, held=held, low=low, mean=mean, high=high)


def write_time(expected: Expected, language: str) -> str:
    """Tell the time it should take, and from which run that is known."""
    if expected.seconds is None:
        return t("time_unknown", language)
    key = "time_here" if expected.here else "time_elsewhere"
    return t(key, language, time=write_duration(expected.seconds), run=escape(expected.earlier))


def write_memory(expected: Expected, language: str) -> str:
    """Tell the memory it should take, and what is free."""
    key = "memory_known" if expected.measured else "memory_reckoned"
    return t(key, language, need=f"{expected.memory / GB:.1f}", free=f"{expected.device.free / GB:.1f}")


def write_duration(seconds: float) -> str:
    """Write 75 as '1 min 15 s', 7500 as '2 h 5 min'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def draw_strip(samples: list[Sample], language: str) -> str:
    """Show four samples as the trainer will take them: wall tinted, paint below."""
    some = samples[:: max(1, len(samples) // 4)][:4]
    return f'<div class="strip">{"".join(_draw_sample(sample, language) for sample in some)}</div>'


def _draw_sample(sample: Sample, language: str) -> str:
    try:
        photo, mask = load_photo(sample.image), load_mask(sample.mask)
    except UserError:  # the trainer will say what is wrong with it
        return ""
    photo.thumbnail((THUMB, THUMB))
    tinted = Image.blend(photo, Image.new("RGB", photo.size, TINT), 0.45)
    shown = Image.composite(tinted, photo, mask.resize(photo.size))
    paint, room = f"#{bytes(sample.color).hex().upper()}", escape(sample.room_id)
    alt = t("sample_alt", language, room=room, paint=paint)
    return (
        f'<figure><img src="{data_uri(shown)}" alt="{alt}">'
        f'<figcaption><span class="chip" style="background:{paint}"></span>{paint}</figcaption></figure>'
    )
