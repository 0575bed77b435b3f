"""Names of a paint's hue and lightness, by its CIELAB."""

import numpy as np

from wallpaint.pixels.color import Swatch

GREY = 8.0  # chroma C* below which a paint has no hue
HUES = ("pink and red", "orange", "yellow", "green", "teal", "blue", "violet")  # by hue angle
BORDERS = (40, 75, 110, 165, 225, 285, 330)  # degrees at which each hue of HUES ends
LIGHTNESSES = {"dark": (0, 40), "medium": (40, 70), "light": (70, 100)}  # L*


def hue_name(color: tuple[int, int, int]) -> str:
    """Name a paint's hue: one of HUES, or 'grey'."""
    _, a, b = (float(value) for value in Swatch(color).lab)
    if np.hypot(a, b) < GREY:
        return "grey"
    angle = np.degrees(np.arctan2(b, a)) % 360
    return HUES[int(np.searchsorted(BORDERS, angle, side="right")) % len(HUES)]


def lightness_name(color: tuple[int, int, int]) -> str:
    """Name a paint's lightness: one of LIGHTNESSES."""
    lightness = float(Swatch(color).lab[0])
    return next(name for name, (_, end) in LIGHTNESSES.items() if lightness < end or end == 100)
