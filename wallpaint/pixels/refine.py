"""A rough mask brought to the photo's own size: its edges moved to the photo's, what is unlike the wall left out.

What finds walls looks at a photo small, so its masks are ragged, and a picture rail is thinner than one of their
pixels. Here the colours of the wall and of what surrounds it are gathered place by place, the wall's so that
what is odd among them hardly counts; then every pixel in doubt goes to the likelier. Far inside and far outside
a rough mask it takes more to overrule it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from wallpaint.pixels.arrays import BILINEAR, BOX, components, fit_size, resize
from wallpaint.pixels.mask_ops import clean_mask, from_mask, to_mask

LOOK, FINE, GRID = 320, 768, 32  # longest sides at which a photo is judged, and at which colours of places are kept
LIGHTNESS = 0.45  # counts less than hue: light falls off along a wall. Colours are YCbCr bytes
NOISE = 3.0  # standard deviation of the evenest surface
ODD = 30.0  # beyond so many squared deviations a colour is not the wall's, even with nothing else near
TRUST, REACH = 8.0, 1.5  # in a mask's word where it is sure; it is sure so many of its own pixels from its edge
SPREADS = (12.0, 3.0, 1.0)  # cells of the grid about a place that count for it; what is nearer counts FAINT times more
FAINT = 0.01
SURE = 6.0  # a score that its neighbourhood shares and no finer look will overrule
EDGE = 4.0  # of a colour, a pixel of the small photo: less is no edge of a thing
MOST = 30.0  # scores are cut off here
# A wallpaper's motifs: so many parts of one colour, in all such a share of the wall, and all over it (the spread of
# their places, in that of the wall's). Chosen on rendered rooms held out.
MANY, COVERED, ALL_OVER, ALIKE = 16, 0.03, 0.4, 14.0
BETWEEN = 0.04  # of the longest side: wider gaps in a wall are no motifs
ENOUGH = 1000  # parts that are compared, the largest: each with each


def refine_mask(photo: Image.Image, mask: Image.Image, cell: float, seen: bool = False) -> Image.Image:
    """Move a mask's edges to the photo's, and take out what is unlike the wall.

    Args:
        photo: RGB.
        mask: 'L' of any size, 255 = wall; the result has the photo's.
        cell: pixels of the photo that one of what made the mask spans; edges are looked for about so far away.
        seen: somebody has seen the mask and found it right: its edges alone are moved, nothing is taken out.
    """
    look = fit_size(photo.size, min(max(LOOK, 2 * max(photo.size) / cell), FINE))
    small = _colors(photo.resize(look, Image.Resampling.BOX))
    wall = rough = from_mask(mask.resize(look, Image.Resampling.BOX))
    if wall.all() or not wall.any() or min(look) < 2:
        return to_mask(from_mask(mask.resize(photo.size)))
    reach = max(1.5, REACH * cell * look[0] / photo.width)
    for far in (reach,) if seen else (reach, reach / 2):  # the second time by the colours of what the first found
        places, depth = _gather(small, wall, far)
        trust = TRUST * np.where(depth > 0, np.minimum(depth, 1), -4 * np.minimum(depth, 0) ** 2)
        if seen:
            trust = np.where(np.abs(depth) < 1, trust, 2 * MOST * np.sign(depth))
        score = _score(small, places) + trust
        wall = score > 0
        if not seen:
            score = np.where(ndimage.maximum_filter(_motifs(small, wall), 5), MOST, score)
            wall = score > 0
    score = np.where(_fades(small, rough, wall), MOST, score)
    wall = _enlarge(photo, score, places, trust) >= 128
    return to_mask(wall) if seen else clean_mask(to_mask(wall))


def _fades(colors: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What left a wall, (h, w) boolean before and after, without an edge between: a lamp's glow, a shadow."""
    labels, sizes = components(before & ~after)
    slope = ndimage.maximum_filter(
        np.hypot(*(np.linalg.norm(d, axis=-1) for d in np.gradient(colors, axis=(0, 1)))), 3
    )
    beside = np.where(after, ndimage.maximum_filter(labels, 3), 0)
    edges, counts = (np.bincount(beside.ravel(), w, len(sizes)) for w in (slope.ravel() > EDGE, None))
    soft = (counts > 0) & (edges < counts / 2)
    soft[0] = False  # what did not leave
    return ndimage.maximum_filter(soft[labels], 7) & before  # and round about, where it would be in doubt


def _motifs(colors: np.ndarray, wall: np.ndarray) -> np.ndarray:
    """What repeats all over a wall (h, w) in one colour, and so is its wallpaper's: (h, w) boolean, often none."""
    labels, sizes = components(_close(wall, max(1, round(BETWEEN / 2 * max(wall.shape)))) & ~wall)
    parts = 1 + np.argsort(-sizes[1:])[: min(ENOUGH, np.count_nonzero(sizes[1:] > 1))]
    means = np.stack([ndimage.mean(colors[..., c], labels, parts) for c in range(3)], axis=1)
    alike = np.linalg.norm(means[:, None] - means, axis=-1) < ALIKE
    parts = parts[alike[alike.sum(axis=0).argmax()]] if len(parts) else parts  # of the commonest colour
    if len(parts) < MANY or sizes[parts].sum() < COVERED * wall.sum():
        return np.zeros_like(wall)
    places = np.array(ndimage.center_of_mass(labels > 0, labels, parts))
    spread = places.std(axis=0) / (np.argwhere(wall).std(axis=0) + 1)
    return np.isin(labels, parts) & (spread.min() > ALL_OVER)


def _close(mask: np.ndarray, reach: int) -> np.ndarray:
    """Fill the gaps of a mask (h, w) that no disc of radius `reach` fits in; beyond the picture it goes on."""
    wide = np.pad(mask, reach, mode="edge")
    grown = ndimage.distance_transform_edt(~wide) <= reach
    return (ndimage.distance_transform_edt(grown) > reach)[reach:-reach, reach:-reach]


def _gather(colors: np.ndarray, wall: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and variance of the colours (h, w, 3) of a wall (h, w) and of the rest, (h, w, 8), and the depth.

    The depth (h, w) counts in `reach` how far a pixel is in the wall, below 0 how far out of it.
    """
    inside, outside = ndimage.distance_transform_edt(wall), ndimage.distance_transform_edt(~wall)
    means = []
    for part, depth in ((wall, inside), (~wall, outside)):
        weight = first = (part * np.clip(depth / reach, 0.05, 1)).astype(np.float32)
        mean, spread = _statistics(colors, weight, 1 if part is wall else 3)
        for near in (2, 3) if part is wall else ():
            weight = first * np.exp(-((colors - mean) ** 2).sum(-1) / (8 * spread))
            mean, spread = _statistics(colors, weight, near)
        means += [mean, spread[..., None]]
    depth = np.where(wall, inside - 0.5, 0.5 - outside) / reach
    return np.concatenate(means, axis=-1).astype(np.float32), depth.astype(np.float32)


def _statistics(colors: np.ndarray, weight: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean (h, w, 3) and variance (h, w) of colours (h, w, 3) about every place."""
    mean = _about(colors, weight, near)
    return mean, _about(((colors - mean) ** 2).mean(-1, keepdims=True), weight, near)[..., 0] + NOISE**2


def _about(values: np.ndarray, weight: np.ndarray, near: int) -> np.ndarray:
    """Weighted mean of values (h, w, C) about every place; where nothing near has weight, of what is farther.

    `near`: how many of SPREADS, the widest first.
    """
    size = weight.shape[::-1]
    grid = fit_size(size, GRID)
    known = np.dstack([resize(values * weight[..., None], grid, BOX), resize(weight, grid, BOX)])
    total = np.zeros_like(known)
    for sigma in SPREADS[:near]:
        total = FAINT * total + ndimage.gaussian_filter(known, sigma, mode="nearest", axes=(0, 1))
    return resize(total[..., :-1] / np.maximum(total[..., -1:], 1e-12), size, BILINEAR)


def _score(colors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How much likelier a wall's colour (..., 3) is than another, as `places` (..., 8) say; above 0 is wall."""
    wall, rest = places[..., 3], places[..., 7]
    as_wall = ((colors - places[..., :3]) ** 2).sum(-1) / wall
    as_rest = ((colors - places[..., 4:7]) ** 2).sum(-1) / rest + 3 * np.log(rest / wall)
    return np.clip(np.minimum(as_rest, ODD) - as_wall, -MOST, MOST)


def _enlarge(photo: Image.Image, score: np.ndarray, places: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Scores (h, w) to bytes at the photo's size, 128 and above is wall; what is in doubt is looked at anew."""
    doubt = (ndimage.minimum_filter(score, 5) < SURE) & (ndimage.maximum_filter(score, 5) > -SURE)
    full, trusted = (np.array(_bytes(v).resize(photo.size, Image.Resampling.BILINEAR)) for v in (score, trust))
    rows, columns = (np.arange(side) * few // side for side, few in zip(full.shape, score.shape, strict=True))
    for row in np.flatnonzero(doubt.any(axis=1)):  # a strip at a time: memory stays small
        strip = slice(*np.searchsorted(rows, (row, row + 1)))
        there = np.flatnonzero(doubt[row, columns])
        pixels = _colors(photo.crop((0, strip.start, photo.width, strip.stop)))[:, there]
        lean = (trusted[strip, there] - np.float32(127.5)) / 4
        full[strip, there] = np.asarray(_bytes(_score(pixels, places[row, columns[there]]) + lean))
    return np.asarray(Image.fromarray(full).filter(ImageFilter.BoxBlur(max(1, round(max(photo.size) / 2000)))))


def _bytes(score: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(127.5 + 4 * score, 0, 255).astype(np.uint8))


def _colors(photo: Image.Image) -> np.ndarray:
    """YCbCr (h, w, 3) float32, lightness scaled down."""
    return np.asarray(photo.convert("YCbCr")) * np.array([LIGHTNESS, 1, 1], np.float32)
