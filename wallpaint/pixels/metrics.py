"""How good a repainted wall is. Numpy; photos are PIL RGB or their bytes, (H, W, 3); masks PIL 'L', 255 = repaint.

All are of one size, the photo's own. sRGB D65/2 degrees, float32 CIELAB, CIEDE2000. The wall is the mask eroded by
1 % of the long side, so that no rim counts. What has no wall to measure gives nan.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.pixels.arrays import around, erode
from wallpaint.pixels.color import Swatch, bytes_to_linear, delta_e, lightness, linear_to_lab, luminance
from wallpaint.pixels.kept import keep
from wallpaint.pixels.light import is_lost
from wallpaint.pixels.mask_ops import from_mask
from wallpaint.pixels.recolor import Coat

Picture = Image.Image | np.ndarray
RIM = 0.01  # of the long side
MANY = 300_000  # pixels of a wall, of which enough are looked at: a median is the same to a hundredth
DARK = 0.01  # luminance below which a pixel's colour means nothing
# |brightness_error| of 90 % of true repaints is below 12.3 (`python -m wallpaint.recipes.light --measure
# assets/rooms/test`), and below 10.8 in rooms of another renderer.
TOO_BRIGHT = 14.0


def wall_region(mask: Image.Image) -> np.ndarray:
    """The wall that counts: boolean (H, W), the mask eroded by 1 % of the long side, by a pixel at least."""
    return _erode(mask if mask.mode == "L" else mask.convert("L"))


@keep
def _erode(mask: Image.Image) -> np.ndarray:
    wall = erode(from_mask(mask), max(1, round(RIM * max(mask.size))))
    wall.flags.writeable = False
    return wall


def delta_e_truth(out: Picture, truth: Picture, mask: Image.Image) -> dict[str, float]:
    """CIEDE2000 to the true repaint over the wall: {'mean', 'median', 'p90'}; 0 is perfect."""
    difference = _difference(out, truth, wall_region(mask))
    return {
        "mean": _figure(np.mean, difference),
        "median": _figure(np.median, difference),
        "p90": _figure(np.percentile, difference, 90),
    }


def delta_e_outside(out: Picture, truth: Picture, mask: Image.Image) -> float:
    """Mean CIEDE2000 to the true repaint outside the mask: what the new wall's light does to the room."""
    return _figure(np.mean, _difference(out, truth, ~from_mask(mask)))


def delta_e_rim(out: Picture, truth: Picture, mask: Image.Image) -> float:
    """Mean CIEDE2000 to the true repaint in the rim that `wall_region` leaves out: fringes of the old paint."""
    rim = from_mask(mask) & ~wall_region(mask)
    return _figure(np.mean, _difference(out, truth, rim))


def wall_mean(picture: Picture, mask: Image.Image) -> dict[str, float]:
    """Mean linear light over the wall, {'red', 'green', 'blue'}; nan where it is too thin."""
    wall = bytes_to_linear(_bytes(picture)[wall_region(mask)])
    return {name: _figure(np.mean, wall[:, number]) for number, name in enumerate(("red", "green", "blue"))}


def ratio_error(first: dict[str, float], second: dict[str, float], paints: tuple[Swatch, Swatch]) -> float:
    """How far the ratio of one wall in two paints is from the paints' own, mean |log| over channels; 0 is exact.

    First and second are `wall_mean` of the wall in each of the paints. It needs no truth: in linear light a matt wall
    is its paint times its light, the same light for both. A truth errs too, by what a lighter wall throws back and by
    its camera's curve.
    """
    seen, paint_light = np.array([[*first.values()], [*second.values()]]), np.stack([paint.linear for paint in paints])
    logs = np.log(seen + DARK), np.log(paint_light + DARK)
    return float(np.abs((logs[0][0] - logs[0][1]) - (logs[1][0] - logs[1][1])).mean())


def delta_e_paint(out: Picture, swatch: Swatch, mask: Image.Image) -> dict[str, float]:
    """CIEDE2000 to the paint in the pixel's own light: {'median', 'p90', 'under_5', 'left_out'}.

    The paint in a pixel's light is lin(swatch) * Y_out / Y_swatch, so a wall at half light is no error and
    lightness does not count: hue and chroma do. Pixels of Y_out < 0.01 are left out; `left_out` is their
    share of the wall, `under_5` the share of the rest below 5.
    """
    linear, counts = _colors(_sample(out, mask))
    bright = luminance(linear) >= DARK
    difference = delta_e(linear_to_lab(linear), linear_to_lab(in_own_light(linear, swatch)))
    shown, shown_counts = difference[bright], counts[bright]
    total = shown_counts.sum()
    return {
        "median": _percentile(shown, shown_counts, 50),
        "p90": _percentile(shown, shown_counts, 90),
        "under_5": float(shown_counts[shown < 5].sum() / total) if total else float("nan"),
        "left_out": float(1 - total / counts.sum()) if len(counts) else float("nan"),
    }


def expected_lightness(coat: Coat) -> np.ndarray:
    """L* (N,) that the wall's pixels, see `_sample`, should have in the paint, reckoned as `recolor` does.

    nan where the photo has lost the wall in the dark: of it that light tells nothing.
    """
    wall = bytes_to_linear(_sample(coat.photo, coat.mask))
    if is_lost(coat.photo, coat.mask) or not len(wall):
        return np.full(len(wall), np.nan)
    return lightness(coat.light.repaint(wall, coat.swatch.linear).clip(0, 1))


def wall_lightness(picture: Picture, mask: Image.Image) -> np.ndarray:
    """L* of the rows and columns about the wall, (h, w); empty where there is no wall."""
    wall = wall_region(mask)
    return lightness(bytes_to_linear(_bytes(picture)[around(wall)])) if wall.any() else np.empty((0, 0))


def true_lightness(truth: Picture, mask: Image.Image) -> np.ndarray:
    """L* (N,) that the wall's pixels, see `_sample`, have in a true repaint."""
    return lightness(bytes_to_linear(_sample(truth, mask)))


def brightness_error(out: Picture, expected: np.ndarray, mask: Image.Image) -> float:
    """Median over the wall of L* as painted less L* as it should be.

    Below 0 is too dark, 100 is white on black. How bright the paint should be tells the truth, `true_lightness`, or
    else the light on the old wall, `expected_lightness`; so beyond TOO_BRIGHT, either way, it has not become the
    paint, whatever `delta_e_paint` says of its hue.
    """
    return _figure(np.median, true_lightness(out, mask) - expected)


def in_own_light(linear: np.ndarray, swatch: Swatch) -> np.ndarray:
    """Give the paint in each pixel's own light: linear RGB (..., 3) of the luminance of `linear` (..., 3)."""
    paint = swatch.linear if any(swatch.rgb) else np.ones(3, np.float32)  # black in any light is a neutral
    return paint * (luminance(linear) / luminance(paint))[..., None]


def error_map(out: Picture, mask: Image.Image, swatch: Swatch, truth: Picture | None = None) -> np.ndarray:
    """CIEDE2000 a pixel (H, W) to the truth, or to the paint in the pixel's own light; nan off the wall."""
    wall = wall_region(mask)
    linear = bytes_to_linear(_bytes(out)[wall])
    target = in_own_light(linear, swatch) if truth is None else bytes_to_linear(_bytes(truth)[wall])
    errors = np.full(wall.shape, np.nan, np.float32)
    errors[wall] = delta_e(linear_to_lab(linear), linear_to_lab(target))
    return errors


def shading_correlation(out: Picture, reference: Picture, mask: Image.Image) -> float:
    """Pearson correlation of the gradients of L* in two pictures over the wall, -1 to 1.

    The reference is the true repaint, or the photo where there is none. A wall painted flat has none: 0.
    """
    return correlate(*(gradients(wall_lightness(picture, mask), mask) for picture in (out, reference)))


def correlate(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of (N,) and (N,); 0 where one is flat, nan where there is nothing to correlate."""
    if len(first) < 2:
        return float("nan")
    first, second = (values.astype(np.float64) - values.mean(dtype=np.float64) for values in (first, second))
    spread = np.sqrt((first @ first) * (second @ second))
    return float((first @ second) / spread) if spread > 1e-6 else 0.0


def gradients(shown: np.ndarray, mask: Image.Image) -> np.ndarray:
    """Central differences of `wall_lightness`, down and then across, where both neighbours are wall: (N,) float32."""
    wall = _of_part(mask)
    down = ((shown[2:] - shown[:-2]) / 2)[wall[1:-1] & wall[2:] & wall[:-2]]
    across = ((shown[:, 2:] - shown[:, :-2]) / 2)[wall[:, 1:-1] & wall[:, 2:] & wall[:, :-2]]
    return np.concatenate([down, across])


@keep
def shading(picture: Image.Image, mask: Image.Image) -> np.ndarray:
    """`gradients` of a picture that others are measured against."""
    return gradients(wall_lightness(picture, mask), mask)


def _of_part(mask: Image.Image) -> np.ndarray:
    """The wall that counts within the rows and columns about it: boolean (h, w)."""
    wall = wall_region(mask)
    return wall[around(wall)] if wall.any() else np.zeros((0, 0), bool)


def outside_changed_pixels(out: Picture, photo: Picture, mask: Image.Image) -> int:
    """Pixels outside the mask (not eroded) whose bytes differ from the photo's."""
    changed = (_bytes(out) != _bytes(photo)) & _beyond(mask if mask.mode == "L" else mask.convert("L"))
    return int(changed.any(axis=-1).sum()) if changed.any() else 0


@keep
def _beyond(mask: Image.Image) -> np.ndarray:
    """What is outside the mask, for each byte of a picture: boolean (H, W, 3)."""
    return np.repeat(np.asarray(mask)[..., None] < 128, 3, axis=-1)


def _difference(out: Picture, truth: Picture, where: np.ndarray) -> np.ndarray:
    """CIEDE2000 of two pictures at the pixels of `where` (H, W): (N,)."""
    first, second = (linear_to_lab(bytes_to_linear(_bytes(image)[where])) for image in (out, truth))
    return delta_e(first, second)


def _bytes(image: Image.Image | np.ndarray) -> np.ndarray:
    """PIL to (H, W, 3) uint8; such an array stays."""
    if isinstance(image, np.ndarray):
        return image
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _sample(image: Picture, mask: Image.Image) -> np.ndarray:
    """The wall's pixels (N, 3) uint8; of more than MANY some, evenly spread."""
    return _bytes(image).reshape(-1, 3).take(_places(mask, MANY), axis=0)


@keep
def _places(mask: Image.Image, many: int) -> np.ndarray:
    """Where they are in the flat picture: (N,)."""
    places = np.flatnonzero(wall_region(mask))
    return places[:: len(places) // many | 1]  # odd, as no pattern of an even number of pixels is


def _colors(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different colours among (N, 3) bytes in linear light, (U, 3), and how many pixels have each, (U,).

    A large wall has many times fewer colours than pixels.
    """
    red, green, blue = pixels.T.astype(np.int32)
    packed, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    return bytes_to_linear(np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1)), counts


def _percentile(values: np.ndarray, counts: np.ndarray, share: float) -> float:
    """`np.percentile` of values that are there so many times each."""
    if not len(values):
        return float("nan")
    order = np.argsort(values)
    last, place = np.cumsum(counts[order]), share / 100 * (counts.sum() - 1)
    low, high = values[order[np.searchsorted(last, (np.floor(place), np.ceil(place)), "right")]].astype(float)
    return float(low + (high - low) * (place % 1))


def _figure(function, values: np.ndarray, *args) -> float:
    """Apply a statistic; nan where there is nothing to apply it to."""
    return float(function(values, *args)) if len(values) else float("nan")


def split_error(out: Picture, truth: Picture, mask: Image.Image) -> dict[str, float]:
    """Where the error to the truth comes from: {'level', 'level_delta_e', 'tint_delta_e', 'rest_delta_e'}.

    `level` is the log of the one gain by which the wall is too bright (above 0) or too dark. The others add up
    to `delta_e_truth`'s mean: what that one gain would mend, what a gain a channel would mend beside it, and
    what is left for shading and pattern. Gains are geometric means over the pixels of the wall, in linear light.
    """
    wall = wall_region(mask)
    shown, wanted = (bytes_to_linear(_bytes(image)[wall]) for image in (out, truth))
    if not len(shown):
        return dict.fromkeys(("level", "level_delta_e", "tint_delta_e", "rest_delta_e"), float("nan"))
    faint = np.float32(DARK)  # else black pixels alone would say how large a gain is
    level = float(np.log((luminance(shown) + faint) / (luminance(wanted) + faint)).mean())
    tint = np.exp(np.log((shown + faint) / (wanted + faint)).mean(0))
    truth_lab = linear_to_lab(wanted)
    gains = (1.0, np.exp(level), tint)
    errors = [float(delta_e(linear_to_lab((shown / gain).clip(0, 1)), truth_lab).mean()) for gain in gains]
    return {
        "level": level,
        "level_delta_e": errors[0] - errors[1],
        "tint_delta_e": errors[1] - errors[2],
        "rest_delta_e": errors[2],
    }
