"""Which part of a mask file is the wall: by its white, its hole, its one colour; what cannot be told is asked."""

from __future__ import annotations

import numpy as np
from PIL import Image

from wallpaint.errors import EmptyMask, UserError
from wallpaint.pixels.photo_colors import bands, deep_to_bytes, has_alpha

STRAY = 0.005  # share of pixels below which they are edges, noise or dust
NEARLY_ALL, MOSTLY = 0.97, 0.7
DARK, BRIGHT, COLORFUL = 40, 215, 40  # bytes: below, above it is meant as black, white; apart in a colour's channels
SAMPLE_SIDE = 512  # longest side at which colours and grey areas are looked for
REMEDY = "paint the wall white and all else black, without transparency"


def wall_in(image: Image.Image) -> np.ndarray:
    """Find the wall in a decoded mask of any mode: boolean (H, W), all False where it marks nothing.

    Raises:
        UserError: more than one part may be meant; the text goes on after the mask's name.
    """
    if image.mode.startswith(("I", "F")):
        return _wall_by_grey(_numbers(image))
    if has_alpha(image):
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
        visible = alpha > alpha.max() / 2  # a brush may be faint
        if (~visible).mean() > STRAY:
            return _wall_by_alpha(_small(image), visible)
        image.paste((0, 0, 0), mask=Image.fromarray(~visible))
    if image.mode in ("1", "L"):
        return _wall_by_grey(np.asarray(image.convert("L")))
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    small = _small(image)[..., :3].reshape(-1, 3)
    colorful = small.max(axis=1) - small.min(axis=1) > COLORFUL
    if colorful.mean() <= STRAY:
        return _wall_by_grey(np.asarray(image.convert("L")))
    color, lit = np.median(small[colorful], axis=0), small[small.max(axis=1) >= DARK]
    one = (np.abs(lit - color).max(axis=1) <= COLORFUL).mean() > NEARLY_ALL
    if not one or len(lit) > (1 - STRAY) * len(small):
        raise UserError(f"is in colour, and which colour is the wall cannot be told: {REMEDY}")
    wall = np.empty(image.size[::-1], bool)
    for rows, band in bands(image):  # nearer to the one colour than to black
        wall[rows] = band[..., :3] @ color.astype(np.float32) > color @ color / 2
    return wall


def _numbers(image: Image.Image) -> np.ndarray:
    """A mask of 16 bits or floats to uint8 (H, W): numbers of bytes as they are, else scaled."""
    least, most = (function([function(band) for _, band in bands(image)]) for function in (np.nanmin, np.nanmax))
    if least < 0:
        raise UserError(f"has numbers below 0, as of a network's raw output: {REMEDY}")
    if most < 256 and (not image.mode.startswith("F") or most > 1):  # 1 is all of a float's scale
        return np.concatenate([np.nan_to_num(band).astype(np.uint8) for _, band in bands(image)])
    if image.mode.startswith("F"):
        return deep_to_bytes(image)
    numbers, even = _even(_small(image), 0)
    if (np.unique(numbers[even], return_counts=True)[1] > STRAY * numbers.size).sum() > 2:
        raise UserError(f"has several numbers up to {most}, as of classes: {REMEDY}")
    return np.concatenate([(band / most * 255).round().astype(np.uint8) for _, band in bands(image)])


def _wall_by_alpha(small: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """A hole in a picture is the wall, white on nothing too; what is drawn in another way may mean either.

    Args:
        small: (h, w, 4), see `_small`.
        visible: boolean (H, W).
    """
    shown = small[small[..., 3] > small[..., 3].max() / 2][:, :3]
    if not visible.any():
        raise UserError(f"is transparent all over: {REMEDY}")
    white, black = ((shown.min(axis=1) > BRIGHT).mean(), (shown.max(axis=1) < DARK).mean()) if len(shown) else (0, 0)
    if white > NEARLY_ALL:
        return visible
    color = np.median(shown, axis=0) if len(shown) else np.zeros(3)
    brush = color.max() - color.min() > COLORFUL and (np.abs(shown - color).max(axis=1) < DARK).mean() > NEARLY_ALL
    if not len(shown) or brush or white + black > NEARLY_ALL:
        raise UserError(f"is drawn on a transparent ground, and the drawing or the rest may be the wall: {REMEDY}")
    return ~visible


def _wall_by_grey(grey: np.ndarray) -> np.ndarray:
    """The one value beside 0, else what is at least half as bright as the brightest; grey areas may mean anything."""
    histogram = np.array(Image.fromarray(grey).histogram())  # bincount would take 8 bytes a pixel
    values = np.flatnonzero(histogram)
    if len(values) == 2 and not values[0]:
        return grey > 0
    if values[-1] < 128 and len(values) > 1 and values[-1] < DARK:
        raise EmptyMask(
            f"is empty (no pixel of 128 or above, but numbers up to {values[-1]}, as of classes): {REMEDY}"
        )
    if (histogram[:DARK] > STRAY * grey.size).sum() > 1 and {*values[values >= DARK]} == {255}:
        raise UserError(f"has several numbers below {DARK} and 255, as of classes with what has none: {REMEDY}")
    ends = values[-1] // 8, values[-1] * 7 // 8
    low, between, high = (part.sum() / grey.size for part in np.split(histogram, ends))
    if min(low, high) > STRAY and between < MOSTLY * high:  # two values and edges, perhaps from 0 to 100
        grey = np.asarray(Image.fromarray(grey).point([min(255, i * 255 // values[-1]) for i in range(256)]))
    here, even = _even(_small(Image.fromarray(grey)), 3)
    if here.size and grey.max() >= 128:
        grey_here = (here > DARK) & (here < BRIGHT)
        if (even & grey_here).mean() > STRAY or grey_here.sum() > MOSTLY * (here >= BRIGHT).sum():  # or a photo
            raise UserError(f"has grey areas, and whether they are wall cannot be told: {REMEDY}")
    return grey >= 128


def _even(small: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w) without its rim, and where it differs by `most` from what is around: no soft edge does."""
    step = max(2, round(max(small.shape) / 100))
    here = small[step:-step, step:-step]
    around = [small[: -2 * step, step:-step], small[2 * step :, step:-step]]
    around += [small[step:-step, : -2 * step], small[step:-step, 2 * step :]]
    return here, np.all([np.abs(there - here) <= most for there in around], axis=0)


def _small(image: Image.Image) -> np.ndarray:
    """Pixels, int32 (h, w[, C]), taken so far apart that the longest side is SAMPLE_SIDE to twice that."""
    step = max(1, max(image.size) // SAMPLE_SIDE)
    size = (max(1, image.width // step), max(1, image.height // step))
    return np.asarray(image.resize(size, Image.Resampling.NEAREST)).astype(np.int32)
