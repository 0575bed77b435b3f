"""What a repaint is measured against, and every metric of it: of one wall, or of several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.pixels import metrics
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.mask_ops import to_mask
from wallpaint.report.files import Figures


@dataclass(frozen=True)
class Yardstick:
    """What repaints of one wall are measured against: what is the same for all of them is reckoned once."""

    photo: Image.Image
    mask: Image.Image
    swatch: Swatch
    truth: Image.Image | None
    lightness: np.ndarray  # see `metrics.brightness_error`
    shading: np.ndarray  # see `metrics.shading`: of the truth, or of the photo where there is none

    @classmethod
    def of(
        cls,
        photo: Image.Image,
        mask: Image.Image,
        swatch: Swatch,
        truth: Image.Image | None = None,
        old_paint: Swatch | None = None,
    ) -> Yardstick:
        """Make one; `old_paint` is on the wall now, where that is known."""
        if truth is None:
            lightness = metrics.expected_lightness(photo, swatch, mask, old_paint)
        else:
            lightness = metrics.true_lightness(truth, mask)
        return cls(photo, mask, swatch, truth, lightness, metrics.shading(truth or photo, mask))

    def measure(self, painted: Image.Image) -> Figures:
        """Take every metric of a repaint; `delta_e_truth` and where it comes from only where the truth is known."""
        mask, truth, pixels = self.mask, self.truth, np.asarray(painted)
        shown = metrics.wall_lightness(pixels, mask)
        figures = {
            "delta_e_paint": metrics.delta_e_paint(pixels, self.swatch, mask),
            "brightness_error": metrics.brightness_error(shown, self.lightness, mask),
            "shading_correlation": metrics.correlate(metrics.gradients(shown, mask), self.shading),
            "outside_changed_pixels": metrics.outside_changed_pixels(pixels, self.photo, mask),
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
    whole = to_mask(np.any([np.asarray(wall.mask) > 0 for wall in walls], axis=0))
    outside = {"outside_changed_pixels": metrics.outside_changed_pixels(painted, walls[0].photo, whole)}
    areas = [float(np.count_nonzero(np.asarray(wall.mask))) for wall in walls]
    each = [{"swatch": wall.swatch.hex} | figures | outside for wall, figures in zip(walls, alone, strict=True)]
    return _mean(alone, areas) | outside | {"walls": each}


def _mean(rows: Sequence[Any], weights: Sequence[float]) -> Any:
    """Weighted mean of figures, nested alike; what one has no figure for has none."""
    if isinstance(rows[0], dict):
        return {key: _mean([row[key] for row in rows], weights) for key in rows[0]}
    return float(np.average(rows, weights=weights))
