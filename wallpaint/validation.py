"""Paint a few validation rooms while training, measure them, and lay them out as a picture."""

import math
from pathlib import Path

from PIL import Image

from wallpaint.color import Swatch
from wallpaint.config import TrainConfig
from wallpaint.dataset import Sample
from wallpaint.denoiser import painting_denoiser
from wallpaint.images import atomic_path, composite, load_mask, load_photo
from wallpaint.metrics import delta_e_paint, delta_e_truth
from wallpaint.models import Models, set_ip_adapter_scale
from wallpaint.paint import paint_wall

TILE = 192


def pick_samples(samples: list[Sample], count: int) -> list[Sample]:
    """One sample a room, up to `count` rooms, each in another paint of its own; always the same ones."""
    rooms: dict[str, list[Sample]] = {}
    for sample in samples:
        rooms.setdefault(sample.room_id, []).append(sample)
    return [rows[i % len(rows)] for i, rows in enumerate(list(rooms.values())[:count])]


def validate(models: Models, config: TrainConfig, samples: list[Sample], path: Path) -> dict[str, float]:
    """Paint `samples` with what is being learned, the adapter active as at inference, and lay them out.

    The sample's own picture shows the wall in that very paint, and the old wall is blanked before the model
    sees it: so the picture is the truth.

    Returns:
        `delta_e_truth` (mean over the wall) and `delta_e_paint` (median), each the mean over the samples.
    """
    hears_image = config.use_ip_adapter_training
    set_ip_adapter_scale(models.unet, config.ip_adapter_scale)
    models.unet.eval()
    rows, truth, paint = [], [], []
    for sample in samples:
        photo, swatch = load_photo(sample.image), Swatch(sample.color)
        mask = load_mask(sample.mask, photo.size)
        (painted,) = paint_wall(
            models, painting_denoiser(models), photo, mask, swatch, sample.text, None, config.seed,
            config.num_inference_steps or None, config.guidance_scale or None,
        )  # fmt: skip
        output = composite(photo, painted, mask)
        truth.append(delta_e_truth(output, photo, mask)["mean"])
        paint.append(delta_e_paint(output, swatch, mask)["median"])
        rows.append([photo, mask, swatch.image(TILE), output])
    models.unet.train()
    set_ip_adapter_scale(models.unet, config.ip_adapter_scale if hears_image else 0.0)
    _write_grid(rows, path)
    figures = {"delta_e_truth": _mean(truth), "delta_e_paint": _mean(paint)}
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _write_grid(rows: list[list[Image.Image]], path: Path) -> None:
    """Write rows of photo, mask, reference, output as one PNG of square tiles."""
    grid = Image.new("RGB", (TILE * max(map(len, rows)), TILE * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            scale = TILE / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            grid.paste(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), (x * TILE, y * TILE))
    with atomic_path(path) as temporary:
        grid.save(temporary)
