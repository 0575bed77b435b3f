"""Where a repaint is off: the ΔE of each wall pixel as a colour."""

import numpy as np
from PIL import Image

from wallpaint.pixels.color import Swatch
from wallpaint.pixels.metrics import error_map

TOP = 20.0  # the ΔE of the hottest colour, and of all above it
STOPS = np.array([(30, 60, 120), (40, 160, 160), (240, 220, 90), (235, 120, 40), (160, 20, 30)], np.float32)


def draw_layer(out: Image.Image, mask: Image.Image, swatch: Swatch, truth: Image.Image | None = None) -> Image.Image:
    """Draw the error of each wall pixel, blue 0 to red TOP, see `error_map`: RGBA, clear where nothing is measured."""
    errors = error_map(out, mask, swatch, truth)
    wall = np.isfinite(errors)
    shown = np.zeros((*errors.shape, 4), np.uint8)
    shown[wall, :3] = color_of(errors[wall])
    shown[wall, 3] = 255
    return Image.fromarray(shown, "RGBA")


def color_of(errors: np.ndarray) -> np.ndarray:
    """Give the colour of each ΔE: (N,) to (N, 3), 0 to 255, between the STOPS."""
    place = np.clip(errors / TOP, 0, 1) * (len(STOPS) - 1)
    return np.stack([np.interp(place, np.arange(len(STOPS)), STOPS[:, c]) for c in range(3)], axis=-1)
