"""What a repaint is measured against, and every metric of it: of one wall, or of several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.pixels import metrics
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.pixels.recolor import Coat
from wallpaint.report.files import Figures


@dataclass(frozen=True)
class Yardstick:
    """What repaints of one wall are measured against: what is the same for all of them is reckoned once."""

    coat: Coat
    pixels: np.ndarray  # of its photo, (H, W, 3) uint8
    truth: Image.Image | None
    lightness: np.ndarray  # see `metrics.brightness_error`
    shading: np.ndarray  # see `metrics.shading`: of the truth, or of the photo where there is none

    @classmethod
    def of(cls, coat: Coat, truth: Image.Image | None = None) -> Yardstick:
        """Make one; the truth is the room with its wall in that very paint."""
        lightness = metrics.true_lightness(truth, coat.mask) if truth else metrics.expected_lightness(coat)
        shading = metrics.shading(truth or coat.photo, coat.mask)
        return cls(coat, np.asarray(coat.photo.convert("RGB")), truth, lightness, shading)

    def measure(self, painted: Image.Image) -> Figures:
        """Take every metric of a repaint; `delta_e_truth` and where it comes from only where the truth is known."""
        mask, truth, pixels = self.coat.mask, self.truth, np.asarray(painted)
        shown = metrics.wall_lightness(pixels, mask)
        figures = {
            "delta_e_paint": metrics.delta_e_paint(pixels, self.coat.swatch, mask),
            "brightness_error": metrics.brightness_error(pixels, self.lightness, mask),
            "shading_correlation": metrics.correlate(metrics.gradients(shown, mask), self.shading),
            "outside_changed_pixels": metrics.outside_changed_pixels(pixels, self.pixels, mask),
        }
        if truth is not None:
            figures["delta_e_truth"] = metrics.delta_e_truth(pixels, truth, mask)
            figures["error_split"] = metrics.split_error(pixels, truth, mask)
            figures["delta_e_outside"] = metrics.delta_e_outside(pixels, truth, mask)
            figures["delta_e_rim"] = metrics.delta_e_rim(pixels, truth, mask)
        return figures


def measure_walls(painted: Image.Image, walls: Sequence[Yardstick]) -> Figures:
    """Measure a room of one wall; of several the mean over the walls by their area, and `walls` has each wall's.

    A pixel outside all masks counts as `outside_changed_pixels`.
    """
    alone = [wall.measure(painted) for wall in walls]
    if len(walls) == 1:
        return alone[0]
    masks = [np.asarray(wall.coat.mask) > 0 for wall in walls]
    whole, areas = to_mask(np.any(masks, axis=0)), [float(mask.sum()) for mask in masks]
    outside = {"outside_changed_pixels": metrics.outside_changed_pixels(painted, walls[0].pixels, whole)}
    each = [{"swatch": wall.coat.swatch.hex} | figures | outside for wall, figures in zip(walls, alone, strict=True)]
    return _mean(alone, areas) | outside | {"walls": each}


def _mean(rows: Sequence[Any], weights: Sequence[float]) -> Any:
    """Weighted mean of figures, nested alike; what one has no figure for has none."""
    if isinstance(rows[0], dict):
        return {key: _mean([row[key] for row in rows], weights) for key in rows[0]}
    return float(np.average(rows, weights=weights))
