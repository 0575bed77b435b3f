"""Cameras like people's: from linear layers to the picture that a phone or camera would have kept.

A camera meters the scene as it was photographed, with the old paint on the wall, and then takes every repaint
of it with the same settings: so a wall's brightness says something only together with its surroundings.
`CAMERAS` are drawn from in training; `UNSEEN` is for test rooms alone; `STRANGE` are wilder than the trained ones, to
learn how sure one may be, and `MIXED` have tone curves that no camera has. Linear pictures are (H, W, 3) float32.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from .palette import LUMINANCE, to_srgb

Curve = Callable[[np.ndarray], np.ndarray]  # linear, exposed, 0 and up -> linear display light, 0 to 1


def shoulder(x: np.ndarray) -> np.ndarray:
    """Straight up to 0.65, then a soft shoulder."""
    return np.where(x > 0.65, 0.65 + 0.35 * (1 - np.exp(-(np.maximum(x, 0.65) - 0.65) / 0.35)), x)


def filmic(x: np.ndarray) -> np.ndarray:
    """Hable's curve (GDC 2010), white at 4, scaled so that middle grey stays."""

    def curve(v):
        return (v * (0.22 * v + 0.03) + 0.002) / (v * (0.22 * v + 0.3) + 0.06) - 1 / 30

    return np.clip(curve(2.2 * x) / curve(np.float32(8.8)), 0, 1)


def reinhard(x: np.ndarray) -> np.ndarray:
    """Reinhard's extended operator (2002), white at 3: highlights far down, no clipping."""
    return np.clip(1.25 * x * (1 + x / 9) / (1 + x), 0, 1)


def lifted(x: np.ndarray) -> np.ndarray:
    """A phone's: shadows lifted as by local tone mapping, a soft shoulder."""
    return shoulder(x * (1 + 0.6 * np.exp(-x / 0.12)))


def aces(x: np.ndarray) -> np.ndarray:
    """Narkowicz's fit of ACES (2015): a toe and a long shoulder."""
    return np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def toed(x: np.ndarray) -> np.ndarray:
    """Shadows pressed down, as contrasty looks have them, then the soft shoulder."""
    return shoulder(1.15 * x * x / (x + 0.04))


def clipped(x: np.ndarray) -> np.ndarray:
    """No curve at all: what is too bright is white."""
    return np.clip(x, 0, 1)


def mix_curves(curves: tuple[Curve, ...], rng: np.random.Generator) -> Curve:
    """A mean of two curves, raised to a power, of channels that leak into one another, as in film: highlights fade."""
    first, second = (curves[number] for number in rng.integers(len(curves), size=2))
    share, power, leak = rng.uniform(), np.exp(0.15 * rng.standard_normal()), rng.uniform(0, 0.15)

    def mixed(x: np.ndarray) -> np.ndarray:
        x = x + leak * (x.mean(-1, keepdims=True) - x)
        return (share * first(x) + (1 - share) * second(x)) ** power

    return mixed


@dataclass(frozen=True)
class Maker:
    """A kind of camera; every number is a range that one is drawn from."""

    curves: tuple[Curve, ...]
    aim: tuple[float, float]  # linear luminance that the metered mean comes to
    center: tuple[float, float]  # width of the metering's weight, in half pictures; large: the whole
    held: tuple[float, float]  # at which the 97th percentile is held at most
    stops: float  # standard deviation of the exposure about the metered one; two of them are the limit
    balance: tuple[float, float]  # how much of the estimated tint of the light is taken out
    drift: float  # standard deviation of the log gains of red and blue beside that
    contrast: tuple[float, float]  # slope about middle grey, of encoded values
    saturation: tuple[float, float]
    vignette: tuple[float, float]  # light lost in the corners
    noise: tuple[float, float]  # standard deviation at white, of linear light
    quality: tuple[int, int]  # of JPEG
    mixed: bool = False  # see `mix_curves`


CAMERAS = Maker(
    curves=(shoulder, shoulder, filmic, reinhard, lifted, clipped),
    aim=(0.16, 0.34),
    center=(0.5, 3.0),
    held=(0.85, 1.6),
    stops=0.45,
    balance=(0.3, 1.0),
    drift=0.04,
    contrast=(0.85, 1.25),
    saturation=(0.85, 1.2),
    vignette=(0.0, 0.3),
    noise=(0.0, 0.015),
    quality=(70, 96),
)
UNSEEN = Maker(
    curves=(aces,),
    aim=(0.2, 0.3),
    center=(0.8, 1.2),
    held=(1.0, 1.4),
    stops=0.4,
    balance=(0.5, 0.9),
    drift=0.03,
    contrast=(0.95, 1.1),
    saturation=(1.0, 1.1),
    vignette=(0.05, 0.2),
    noise=(0.0, 0.006),
    quality=(90, 96),
)


STRANGE = Maker(
    curves=(filmic, reinhard, lifted, clipped, toed),
    aim=(0.1, 0.45),
    center=(0.4, 3.0),
    held=(0.8, 2.2),
    stops=0.7,
    balance=(0.0, 1.0),
    drift=0.08,
    contrast=(0.7, 1.4),
    saturation=(0.7, 1.35),
    vignette=(0.0, 0.4),
    noise=(0.0, 0.03),
    quality=(50, 96),
)
MIXED = replace(STRANGE, mixed=True)


@dataclass(frozen=True)
class Camera:
    """One camera with its settings for one scene: the same for a photo and all its repaints."""

    gain: np.ndarray  # (3,) exposure times white balance
    curve: Curve
    contrast: float
    saturation: float
    vignette: float
    noise: float
    quality: int
    grain: int  # seed of the noise

    def develop(self, linear: np.ndarray) -> np.ndarray:
        """Linear light (H, W, 3) to sRGB uint8."""
        height, width = linear.shape[:2]
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
        light = np.maximum(linear * self.gain, 0) * (1 - self.vignette * (x * x + y * y) / 2)[..., None]
        if self.noise:
            drawn = np.random.default_rng(self.grain).standard_normal(light.shape, np.float32)
            light = np.maximum(light + self.noise * drawn * np.sqrt(np.maximum(light, 0.02)), 0)
        light = self.curve(light)
        grey = (light @ LUMINANCE)[..., None]
        light = np.clip(grey + self.saturation * (light - grey), 0, 1)
        if self.contrast != 1:
            encoded = to_srgb(light).astype(np.float32) / 255
            encoded = np.clip(0.45 + self.contrast * (encoded - 0.45), 0, 1)
            return self._keep(np.round(255 * encoded).astype(np.uint8))
        return self._keep(to_srgb(light))

    def _keep(self, picture: np.ndarray) -> np.ndarray:
        """What is left after JPEG."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=self.quality, subsampling=0)
        return np.asarray(Image.open(file))


def draw_camera(photo: np.ndarray, rng: np.random.Generator, maker: Maker = CAMERAS) -> Camera:
    """A camera before a scene.

    Args:
        photo: (H, W, 3) linear, the room as it is photographed: its old paint on the wall.
        rng: draws the settings.
        maker: what kind of camera it is.
    """
    luminance = np.maximum(photo @ LUMINANCE, 0)
    height, width = luminance.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    weight = np.exp(-(x * x + y * y) / (2 * rng.uniform(*maker.center) ** 2))
    metered = max(float((weight * np.minimum(luminance, np.percentile(luminance, 99))).sum() / weight.sum()), 1e-6)
    gain = min(rng.uniform(*maker.aim) / metered, rng.uniform(*maker.held) / max(np.percentile(luminance, 97), 1e-6))
    gain *= 2 ** (maker.stops * float(np.clip(rng.standard_normal(), -2, 2)))
    # The light's tint, as cameras guess it: between the mean of all and that of what is bright.
    bright = (luminance > np.percentile(luminance, 70)) & (luminance < np.percentile(luminance, 98))
    means = photo.mean((0, 1)), photo[bright].mean(0) if bright.any() else photo.mean((0, 1))
    mix = rng.uniform(0, 1)
    tint = np.exp(mix * np.log(np.maximum(means[0], 1e-5)) + (1 - mix) * np.log(np.maximum(means[1], 1e-5)))
    balance = (tint / (tint @ LUMINANCE)) ** -rng.uniform(*maker.balance)
    balance *= np.exp(maker.drift * rng.standard_normal(3) * (1, 0, 1))
    return Camera(
        (gain * balance / (balance @ LUMINANCE)).astype(np.float32),
        mix_curves(maker.curves, rng) if maker.mixed else maker.curves[rng.integers(len(maker.curves))],
        rng.uniform(*maker.contrast),
        rng.uniform(*maker.saturation),
        rng.uniform(*maker.vignette),
        rng.uniform(*maker.noise),
        int(rng.integers(*maker.quality)),
        int(rng.integers(1 << 31)),
    )
