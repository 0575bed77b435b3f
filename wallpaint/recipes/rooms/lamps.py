"""Small things: lamps, plants and pots, in their own frame (see furniture)."""

from __future__ import annotations

import numpy as np

from .geometry import Builder, Material
from .palette import Palette


def plant(b: Builder, p: Palette, rng):
    """A pot with arching leaves."""
    h = rng.uniform(0.22, 0.34)
    b.cylinder(0.13, 0, h, p.ceramic(rng), centre=(0, 0.25), top=0.16)
    green = Material(tuple(rng.uniform([0.02, 0.09, 0.015], [0.08, 0.22, 0.05])), f0=0.04, rough=0.45)
    for i in range(int(rng.integers(9, 16))):
        angle, length = i * 2.4 + rng.uniform(-0.3, 0.3), rng.uniform(0.35, 0.75)
        t = np.linspace(0, 1, 8)
        out, rise = 0.42 * length * t**1.3, length * (1.25 * t - 0.45 * t**2)
        width = 0.07 * np.sin(np.pi * np.clip(t, 0.04, 0.97)) ** 0.8
        side = np.array([-np.sin(angle), np.cos(angle), 0])
        spine = np.stack([np.cos(angle) * out, 0.25 + np.sin(angle) * out, h - 0.02 + rise], -1)
        b.grid(
            np.stack([spine + width[:, None] * side * k for k in (-1, 0, 1)], 0)
            + np.array([0, 0, 0.0])
            + np.array([0.0, 0.015, 0.0])[None, None],
            green,
        )
    return 0.6, 0.6


def table_lamp(b: Builder, p: Palette, rng):
    """A lamp to stand on furniture."""
    b.lathe([(1e-4, 0), (0.07, 0), (0.06, 0.03), (0.03, 0.1), (0.05, 0.18), (0.015, 0.24)], p.ceramic(rng))
    b.lathe([(0.12, 0.22), (0.085, 0.4)], p.shade)
    b.ball((0, 0, 0.3), (0.03, 0.03, 0.04), p.bulb)
    return 0.25, 0.25


def floor_lamp(b: Builder, p: Palette, rng):
    """A standing lamp."""
    height, metal = rng.uniform(1.45, 1.7), p.metal(rng)
    b.cylinder(0.14, 0, 0.025, metal, centre=(0, 0.25))
    b.rod((0, 0.25, 0.02), (0, 0.25, height), 0.012, metal)
    b.lathe([(0.2, height - 0.06), (0.15, height + 0.2)], p.shade, (0, 0.25, 0))
    b.ball((0, 0.25, height + 0.05), (0.04, 0.04, 0.05), p.bulb)
    return 0.45, 0.5


def pendant(b: Builder, p: Palette, rng, ceiling: float) -> None:
    """A lamp hanging from the ceiling at the origin."""
    z = ceiling - rng.uniform(0.5, 0.8)
    metal = p.metal(rng)
    b.rod((0, 0, z), (0, 0, ceiling), 0.006, metal)
    b.cylinder(0.05, ceiling - 0.025, ceiling, metal)
    if rng.random() < 0.5:
        b.ball((0, 0, z - 0.15), (0.17, 0.17, 0.17), p.glow)
        return
    t = np.linspace(0.12, np.pi / 2, 9)
    b.lathe(np.stack([0.26 * np.sin(t), z - 0.2 + 0.2 * np.cos(t)], 1), p.accent(rng))
    b.ball((0, 0, z - 0.14), (0.05, 0.05, 0.06), p.bulb)


def vessel(b: Builder, p: Palette, rng, x, y, z) -> None:
    """A vase or a bowl."""
    h, r = rng.uniform(0.12, 0.28), rng.uniform(0.04, 0.08)
    t = np.linspace(0, 1, 9)
    shape = r * (0.6 + 0.6 * np.sin(np.pi * t ** rng.uniform(0.6, 1.2)) * (1 - 0.4 * t))
    b.lathe(np.stack([np.concatenate([[1e-4], shape]), np.concatenate([[0], t * h])], 1), p.ceramic(rng), (x, y, z))
