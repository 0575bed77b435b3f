"""Where a repaint is off: the ΔE of each wall pixel as a colour, over a pale grey photo."""

import numpy as np
from PIL import Image

from wallpaint.pixels.color import Swatch
from wallpaint.pixels.metrics import error_map

TOP = 20.0  # the ΔE of the hottest colour, and of all above it
STOPS = np.array([(30, 60, 120), (40, 160, 160), (240, 220, 90), (235, 120, 40), (160, 20, 30)], np.float32)


def draw_heat(
    out: Image.Image, photo: Image.Image, mask: Image.Image, swatch: Swatch, truth: Image.Image | None = None
) -> Image.Image:
    """Draw the error of each wall pixel, blue 0 to red TOP; RGB of the photo's size. See `error_map`."""
    errors = error_map(out, mask, swatch, truth)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]
    shown = np.repeat(140 + 0.4 * grey, 3, axis=-1)
    wall = np.isfinite(errors)
    shown[wall] = color_of(errors[wall])
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def color_of(errors: np.ndarray) -> np.ndarray:
    """Give the colour of each ΔE: (N,) to (N, 3), 0 to 255, between the STOPS."""
    place = np.clip(errors / TOP, 0, 1) * (len(STOPS) - 1)
    return np.stack([np.interp(place, np.arange(len(STOPS)), STOPS[:, c]) for c in range(3)], axis=-1)
