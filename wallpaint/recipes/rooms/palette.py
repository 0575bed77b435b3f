"""Colours and materials of a room, and paints of walls."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np

from .geometry import Material

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear RGB, as the shipped rooms were made


def to_linear(srgb) -> np.ndarray:
    """SRGB 0..255 to linear 0..1 (IEC 61966-2-1)."""
    x = np.asarray(srgb, float) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def to_srgb(linear) -> np.ndarray:
    """Linear 0..1 to sRGB uint8."""
    x = np.clip(linear, 0, 1)
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-9), 1 / 2.4) - 0.055)
    return np.round(x * 255).astype(np.uint8)


# Hue (degrees), saturation and value (HSV of sRGB) of paints as shops sell them, and how often.
PAINTS = (
    (3, (20, 70), (0.01, 0.09), (0.88, 0.95)),  # warm off-white
    (2, (0, 360), (0.00, 0.06), (0.55, 0.92)),  # greys
    (3, (0, 360), (0.10, 0.28), (0.78, 0.93)),  # pastels
    (3, (0, 360), (0.25, 0.50), (0.50, 0.82)),  # muted
    (3, (0, 360), (0.50, 0.90), (0.55, 0.88)),  # saturated
    (2, (15, 55), (0.20, 0.65), (0.45, 0.85)),  # earths
    (2, (0, 360), (0.25, 0.85), (0.14, 0.40)),  # deep
    (0.5, (0, 360), (0.0, 0.15), (0.13, 0.28)),  # charcoal
)
DEEP = (6, 7)
LIGHT = (0, 1, 2, 3, 5)
MAX_ALBEDO = 0.87  # titanium white


def sample_paint(rng: np.random.Generator, rows=None) -> tuple[int, ...]:
    """A paint as sRGB 8 bit whose linear value is a possible albedo."""
    rows = range(len(PAINTS)) if rows is None else rows
    weights = np.array([PAINTS[i][0] for i in rows], float)
    _, hue, saturation, value = PAINTS[list(rows)[rng.choice(len(weights), p=weights / weights.sum())]]
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue) / 360, rng.uniform(*saturation), rng.uniform(*value))
    top = int(to_srgb(MAX_ALBEDO))
    return tuple(int(np.clip(round(c * 255), 4, top)) for c in rgb)


def sample_paints(rng: np.random.Generator, count: int, distance: float = 40.0) -> list[tuple[int, ...]]:
    """Paints that differ from one another by at least ``distance`` in sRGB where possible."""
    paints: list[tuple[int, ...]] = []
    for attempt in range(50 * count):
        paint = sample_paint(rng)
        near = min((np.linalg.norm(np.subtract(paint, p)) for p in paints), default=np.inf)
        if near > distance * 0.98**attempt:
            paints.append(paint)
        if len(paints) == count:
            break
    return paints


def colour(rng, hue, saturation, value) -> tuple[float, ...]:
    """Linear RGB from uniform HSV ranges (hue in degrees)."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(*hue) / 360 % 1, rng.uniform(*saturation), rng.uniform(*value))
    return tuple(float(c) for c in to_linear(np.multiply(rgb, 255)))


WOODS = ((0.50, 0.33, 0.19), (0.34, 0.19, 0.09), (0.62, 0.47, 0.31), (0.16, 0.08, 0.045), (0.45, 0.37, 0.29))


@dataclass
class Palette:
    """Materials drawn for one room; ``textures`` are names that the scene made."""

    shade: Material = field(default_factory=Material)
    bulb: Material = field(default_factory=Material)
    glow: Material = field(default_factory=Material)
    wood_base: tuple[float, float, float] = WOODS[0]

    def wood(self, rng) -> Material:
        """Varnished wood of the room."""
        return Material(self.wood_base, texture="grain", scale=0.8, f0=0.04, rough=0.35)

    def top(self, rng) -> Material:
        """Wood, or white or grey lacquer."""
        if rng.random() < 0.5:
            return self.wood(rng)
        grey = rng.choice([0.75, 0.7, 0.2, 0.04])
        return Material((grey, grey * 0.98, grey * 0.95), f0=0.04, rough=0.3)

    def cloth(self, rng) -> Material:
        """Upholstery: mostly muted, at times strong."""
        rows = (
            ((0, 360), (0.05, 0.25), (0.3, 0.85)),
            ((0, 360), (0.3, 0.7), (0.25, 0.75)),
            ((20, 45), (0.1, 0.5), (0.4, 0.85)),
        )
        return Material(colour(rng, *rows[rng.choice(3, p=[0.45, 0.25, 0.3])]), texture="weave", scale=0.35)

    def accent(self, rng) -> Material:
        """Cushions and shades."""
        return Material(colour(rng, (0, 360), (0.15, 0.65), (0.35, 0.85)), texture="weave", scale=0.25)

    def linen(self, rng) -> Material:
        """White cloth."""
        value = rng.uniform(0.65, 0.8)
        return Material((value, value * 0.985, value * 0.96), texture="weave", scale=0.3)

    def ceramic(self, rng) -> Material:
        """Glazed pots."""
        return Material(colour(rng, (0, 360), (0.0, 0.6), (0.25, 0.92)), f0=0.04, rough=rng.uniform(0.15, 0.5))

    def metal(self, rng) -> Material:
        """Steel, brass or black."""
        rgb = ((0.6, 0.6, 0.6), (0.7, 0.5, 0.25), (0.04, 0.04, 0.04))[rng.integers(3)]
        return Material(rgb, metal=True, rough=0.35)

    def stone(self, rng) -> Material:
        """A counter."""
        grey = rng.choice([0.08, 0.4, 0.65])
        return Material((grey, grey, grey * 0.97), texture="mottle", scale=1.0, f0=0.04, rough=0.25)

    def book(self, rng) -> Material:
        """A book's back."""
        return Material(colour(rng, (0, 360), (0.05, 0.55), (0.15, 0.85)))
