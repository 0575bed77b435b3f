"""What is shown before a run starts: what learns, from what, how long, and what may go wrong."""

from html import escape
from pathlib import Path

from PIL import Image

from wallpaint.dataset.rows import Sample
from wallpaint.errors import UserError
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.report.html import data_uri
from wallpaint.runs.forecast import GIB, Forecast, forecast
from wallpaint.settings.train_config import TrainConfig
from wallpaint.ui.words.words import t

TINT = (255, 64, 129)
THUMB = 132


def draw_preflight(config: TrainConfig, workspace: Path, language: str) -> str:
    """Give the forecast of a run as HTML; UserError when its dataset cannot be read."""
    told = forecast(config, workspace)
    adapter = t(f"adapter_{told.adapter}", language)
    facts = [
        ("fact_adapter", f'<span class="pill {told.adapter}">{adapter}</span>'),
        ("fact_learns", write_learns(config, told, language)),
        ("fact_losses", write_losses(config, told, language)),
        ("fact_data", write_data(told, language)),
        ("fact_time", write_time(told, language)),
        ("fact_memory", write_memory(told, language)),
        ("fact_device", escape(told.device.name)),
    ]
    rows = "".join(f"<dt>{t(key, language)}</dt><dd>{said}</dd>" for key, said in facts)
    warned = "".join(f"<li>{t(key, language)}</li>" for key in told.warnings)
    warned = f'<ul class="warnings">{warned}</ul>' if warned else ""
    strip = draw_strip(told, language)
    return f'<section class="card" id="preflight"><dl>{rows}</dl>{warned}{strip}</section>'


def write_learns(config: TrainConfig, told: Forecast, language: str) -> str:
    """Name what may move; everything else stays as it is, to the bit."""
    names = [t(f"learns_{group}", language, rank=config.lora_rank) for group in told.learns]
    return f"<b>{' + '.join(names)}</b> <small>{t('rest_frozen', language)}</small>"


def write_losses(config: TrainConfig, told: Forecast, language: str) -> str:
    """Name the losses, with the step from which the colour loss acts."""
    start, weight = config.color_loss_start_step, f"{config.color_loss_weight:g}"
    return " + ".join(t(f"loss_{name}", language, step=start, weight=weight) for name in told.losses)


def write_data(told: Forecast, language: str) -> str:
    """Count samples and rooms, and tell how much of a picture is wall."""
    low, mean, high = (f"{share:.0%}" for share in told.coverage)
    held = told.samples.get("validation", 0)
    return t(
        "data_said", language, train=told.samples["train"], rooms=told.rooms, held=held, low=low, mean=mean, high=high
    )


def write_time(told: Forecast, language: str) -> str:
    """Tell the time it should take, and from which run that is known."""
    if told.seconds is None:
        return t("time_unknown", language)
    key = "time_here" if told.here else "time_elsewhere"
    return t(key, language, time=write_duration(told.seconds), run=escape(told.learned_from))


def write_memory(told: Forecast, language: str) -> str:
    """Tell the memory it should take, and what is free."""
    free = f"{told.device.free / GIB:.1f}"
    if told.memory is None:
        return t("memory_unknown", language, free=free)
    return t("memory_known", language, need=f"{told.memory / GIB:.1f}", free=free)


def write_duration(seconds: float) -> str:
    """Write 75 as '1 min 15 s', 7500 as '2 h 5 min'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def draw_strip(told: Forecast, language: str) -> str:
    """Show a few samples as the trainer will take them: wall tinted, paint below."""
    figures = "".join(_draw_sample(sample, language) for sample in told.shown)
    return f'<div class="strip">{figures}</div>'


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
