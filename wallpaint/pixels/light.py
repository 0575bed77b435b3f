"""The light on a wall, read off the photo: how bright it is and of what tint, so that a paint's colour follows.

A small network looks at statistics of the photo in and outside the wall and says what the old paint reflects,
how much the room brightens with its wall, and how steep the camera's curve is there. It learned from rendered
rooms under cameras drawn anew for every picture (`python -m wallpaint.recipes.light`); numpy alone runs it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from wallpaint.paths import ASSETS
from wallpaint.pixels.arrays import erode, grow
from wallpaint.pixels.color import bytes_to_linear, delta_e, linear_to_lab, luminance
from wallpaint.pixels.kept import keep
from wallpaint.pixels.mask_ops import from_mask

WEIGHTS = ASSETS / "light" / "light.safetensors"
SIDE = 128  # pixels of the long side to which the photo is shrunk
FAINT = 1e-3  # linear light added before logarithms
LEAST = 0.01  # no paint reflects less; keeps noise in a black wall from blowing up
MOST = 0.9  # nor more in any channel
LOST = 0.003  # linear light at which noise and rounding to 8 bits are as strong as a wall in the photo
PAPER = 0.85  # what white paper, tiles or a trim reflect, give or take 0.05
ELSEWHERE = 0.5  # standard deviation of the log ratio of the light on something white to that on the wall
TINT = 3.0  # no light on a wall is more than this times redder, greener or bluer than its mean
# Where a camera's curve bends a change, no channel of the old paint counts as less than this share of its level:
# a deep teal's red would grow eightyfold under white, and what a photo shows of it is noise, gloss, other channels.
PALEST = 1 / 4
SHARES = (2, 10, 25, 50, 75, 90, 98)  # percentiles of what surrounds the wall
WALL_SHARES = (25, 50, 75)  # a shelf or a lamp inside the mask hardly moves these
WALL = len(WALL_SHARES) + len(SHARES)  # where in the features the wall's level and tint stand
FAR = 2.5  # standard deviations to which features are clipped: the network does not extrapolate
SLOPE = 0.1  # of the network's leaky ReLU


@dataclass(frozen=True)
class Light:
    """The light on a wall and the paint under it, as estimated from a photo."""

    paint: np.ndarray  # (3,) linear, what the old paint reflects of the light
    bounce: float  # 0 to 0.7: a wall that reflects ρ makes its own light 1 / (1 - bounce ρ) times brighter
    slope: float  # of the camera's curve: a ratio of light r is shown as r ** slope
    spread: float  # standard deviation of the error of the new wall's log luminance

    def with_paint(self, paint: np.ndarray) -> Light:
        """The same where the old paint is known, linear (3,)."""
        return replace(self, paint=np.clip(paint, LEAST, 1))

    def with_white(self, wall: np.ndarray, white: np.ndarray) -> Light:
        """The same, corrected by something white that is seen in the photo.

        The white shows the light's tint, and so the old paint's. It shows the level only as far as it is lit as
        the wall is: that and what was read off the photo are averaged, each weighed by its inverse variance.

        Args:
            wall: (3,) linear, the wall as it is seen.
            white: (3,) linear, the white as it is seen.
        """
        seen = np.clip(PAPER * (wall / white) ** (1 / self.slope), 1e-4, None)
        known, other = self.spread**-2, ELSEWHERE**-2
        own = float(np.log(luminance(self.paint)))
        level = np.exp((known * own + other * float(np.log(luminance(seen)))) / (known + other))
        paint = np.clip(level * seen / luminance(seen), LEAST, 1).astype(np.float32)
        return replace(self, paint=paint, spread=float((known + other) ** -0.5))

    def doubt(self, paint: np.ndarray) -> float:
        """How far off a paint, linear (3,), may look on this wall, in ΔE00: the mean of one deviation up and down."""
        off = [linear_to_lab(paint * np.exp(sign * self.spread)) for sign in (-1, 1)]
        return float(delta_e(np.stack(off), linear_to_lab(paint)).mean())

    def repaint(self, wall: np.ndarray, paint: np.ndarray) -> np.ndarray:
        """The wall in another paint.

        Args:
            wall: (N, 3) linear light of the wall's pixels.
            paint: (3,) linear, the new paint.

        Returns:
            (N, 3) linear light, above 1 where it would clip.
        """
        new, old = paint.astype(np.float32), self.paint.astype(np.float32)
        lifted = (1 - self.bounce * old) / (1 - self.bounce * new)
        told = np.maximum(old, np.minimum(new * lifted, PALEST * (old @ old) / old.sum()))
        gain = new * lifted * np.maximum(new * lifted / told, 1e-3) ** (self.slope - 1)
        return falling_light(wall, old) * gain


def falling_light(wall: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """Compute the light that falls on a wall of a known paint (3,): (N, 3), from what its pixels show, linear (N, 3).

    For a white wall this is the plain ratio. A teal wall's red is noise and gloss; divided by next to nothing
    it would turn into red light. So the level is fitted to all channels by least squares, and a channel's own
    deviation from it counts less the less the paint reflects there.
    """
    level = np.maximum(wall @ paint / (paint @ paint), np.float32(1e-5))
    light = np.empty_like(wall)
    for c, weight in enumerate((paint / paint.max()) ** 2):
        light[:, c] = level * np.clip(wall[:, c] / (paint[c] * level), 1 / TINT, TINT) ** weight
    return light


@keep
def estimate_light(photo: Image.Image, mask: Image.Image) -> Light:
    """Read the light off a photo, RGB, and its wall, 'L' of the same size, 255 = wall."""
    weights, seen = _weights(), features(photo, mask)
    x = ((seen - weights["mean"]) / weights["deviation"]).clip(-FAR, FAR)
    for number in range(3):
        x = weights[f"{number}.weight"] @ x + weights[f"{number}.bias"]
        x = np.where(x > 0, x, SLOPE * x) if number < 2 else x
    level, red, blue, bounce, slope, spread = x.tolist()
    wall = np.exp([seen[WALL + 1], 0, seen[WALL + 2]])  # its tint as the photo shows it, green is 1
    tint = wall / np.exp([red, 0, blue])  # without the light's
    reflected = min(np.exp(level), MOST) / luminance(tint)
    return Light(
        paint=np.clip(reflected * tint, LEAST, 1).astype(np.float32),
        bounce=0.7 / (1 + np.exp(-bounce)),
        slope=float(np.exp(0.4 * np.tanh(slope))),
        spread=float(np.exp(spread) * weights["widen"].item()),
    )


@keep
def is_lost(photo: Image.Image, mask: Image.Image) -> bool:
    """Whether most of a wall is lost in the dark: then no repaint's brightness can be checked."""
    seen = np.asarray(photo.convert("RGB"))[from_mask(mask)]
    return bool(len(seen) and np.median(bytes_to_linear(seen.max(1))) < LOST)


def light_hash() -> str:
    """Hash of the weights and of PALEST, for the keys of what was computed with them."""
    return hashlib.sha256(WEIGHTS.read_bytes() + str(PALEST).encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    return {key: value.astype(np.float32) for key, value in load_file(WEIGHTS).items()}


def features(photo: Image.Image, mask: Image.Image) -> np.ndarray:
    """Statistics of the photo, (F,) float32: levels and tints of wall, surroundings, rim, top and bottom."""
    size = [max(8, round(side * SIDE / max(photo.size))) for side in photo.size]
    pixels = bytes_to_linear(np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BOX)))
    share = np.asarray(mask.convert("L").resize(size, Image.Resampling.BOX)) / np.float32(255)
    inside = erode(share > 0.95, 1) if (share > 0.95).any() else share >= share.max()
    wall = inside if inside.any() else share >= share.max()
    outside = share < 0.05
    rim = outside & grow(share > 0.5, 6)
    third = np.arange(size[1])[:, None] * 3 // size[1] * np.ones(size[0], int)
    level = np.log(luminance(pixels) + FAINT)
    bright = outside & (level > (np.percentile(level[outside], 75) if outside.any() else 0))
    tint = np.log(pixels[..., ::2] + FAINT) - np.log(pixels[..., 1:2] + FAINT)  # of red and blue over green
    clipped = pixels.max(-1) > 0.95
    found: list = [_shares(level, wall, WALL_SHARES), _shares(level, outside, SHARES)]
    for region in (wall, outside, rim, bright, outside & (third == 0), outside & (third == 2)):
        found += [_medians(level, tint, region), [region.mean()]]
        if region is not wall:  # where a lamp before the wall would count
            found.append([clipped[region].mean() if region.any() else 0.0])
    found.append([np.abs(tint[outside]).mean() if outside.any() else 0.0])
    return np.concatenate(found).astype(np.float32)


def _shares(level: np.ndarray, region: np.ndarray, shares: tuple[int, ...]) -> np.ndarray:
    return np.percentile(level[region], shares) if region.any() else np.full(len(shares), np.log(0.18))


def _medians(level: np.ndarray, tint: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Level and tint (3,) of a region; middle grey where it has no pixel."""
    if not region.any():
        return np.array([np.log(0.18), 0.0, 0.0])
    return np.array([np.median(level[region]), *np.median(tint[region], axis=0)])
