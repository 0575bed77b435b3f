"""Procedural textures, linear RGB in [0, 1], shape (h, w, 3), and slopes of reliefs, (h, w, 2)."""

from __future__ import annotations

import numpy as np

FLOOR, SIZE, PICTURE = 512, 256, 128  # pixels a side: of floors, of other stuffs, of what hangs on a wall
PLANKS, TILES = 8, 4  # across a floor's texture


def noise(rng: np.random.Generator, size: int, cells: float, stretch: float = 1.0) -> np.ndarray:
    """Tileable smooth noise (size, size), zero mean and unit deviation; ``cells`` features across."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size) * size, np.fft.fftfreq(size) * size, indexing="ij")
    band = np.exp(-((np.hypot(fx * stretch, fy) / cells) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * band).real
    return (field - field.mean()) / (field.std() + 1e-9)


def slopes(height: np.ndarray, strength: float) -> np.ndarray:
    """Slope of a height field (h, w) scaled to a typical steepness."""
    dx = np.roll(height, -1, 1) - np.roll(height, 1, 1)
    dy = np.roll(height, -1, 0) - np.roll(height, 1, 0)
    slope = np.stack([dx, dy], -1)
    return strength * slope / (np.abs(slope).mean() + 1e-9)


def places(size: int) -> np.ndarray:
    """How far down and across each pixel lies, 0 to 1: (2, size, size)."""
    return np.mgrid[:size, :size] / size


def from_edge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the nearest edge is, 0 to 0.5."""
    return np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))


def planks(rng, base) -> np.ndarray:
    """Floor boards along u, each with its own tone and grain."""
    base = np.asarray(base)
    grain = noise(rng, FLOOR, 60, 10.0) * 0.09 + noise(rng, FLOOR, 14, 6.0) * 0.10
    image = np.empty((FLOOR, FLOOR, 3))
    step = FLOOR // PLANKS
    for row in range(PLANKS):
        cut = int(rng.integers(FLOOR))
        tones = 1 + 0.14 * rng.standard_normal(2)
        line = np.where((np.arange(FLOOR) - cut) % FLOOR < FLOOR // 2, tones[0], tones[1])
        board = np.roll(grain[row * step : (row + 1) * step], int(rng.integers(FLOOR)), 1)
        shade = (line[None] * (1 + board))[..., None] * base
        shade[:2] *= 0.5
        for seam in (cut, cut + FLOOR // 2):
            shade[:, np.arange(seam, seam + 2) % FLOOR] *= 0.55
        image[row * step : (row + 1) * step] = shade
    return np.clip(image, 0.01, 0.9)


def tiles(rng, base) -> np.ndarray:
    """Square tiles with joints and a little marbling."""
    base = np.asarray(base)
    step = FLOOR // TILES
    tone = np.kron(1 + 0.05 * rng.standard_normal((TILES, TILES)), np.ones((step, step)))
    image = (tone * (1 + 0.06 * noise(rng, FLOOR, 20)))[..., None] * base
    line = (np.arange(FLOOR) % step) < 4
    image[line] = image[:, line] = base * 0.55 + 0.05
    return np.clip(image, 0.02, 0.85)


def carpet(rng, base) -> np.ndarray:
    """Short pile: fine grain over a broad mottle."""
    image = 1 + 0.12 * noise(rng, SIZE, 90) + 0.05 * noise(rng, SIZE, 6)
    return np.clip(image[..., None] * np.asarray(base), 0.01, 0.85)


def wood(rng, base) -> np.ndarray:
    """Furniture wood with grain along u."""
    grain = 1 + 0.10 * noise(rng, SIZE, 40, 12.0) + 0.10 * noise(rng, SIZE, 8, 6.0)
    return np.clip(grain[..., None] * np.asarray(base), 0.01, 0.85)


def fabric(rng, base) -> np.ndarray:
    """Woven cloth."""
    y, x = np.mgrid[:SIZE, :SIZE]
    weave = 0.06 * np.sin(x * np.pi / 2) * np.sin(y * np.pi / 2)
    return np.clip((1 + weave + 0.06 * noise(rng, SIZE, 50))[..., None] * np.asarray(base), 0.01, 0.88)


def rug(rng, colours) -> np.ndarray:
    """A rug with a border and stripes, diamonds or a plain field."""
    y, x = places(SIZE)
    a, b, c = (np.asarray(colour) for colour in colours)
    fields = (
        lambda: (x * rng.integers(4, 9)) % 1 < 0.5,
        lambda: (np.abs((x * 6) % 1 - 0.5) + np.abs((y * 8) % 1 - 0.5)) < 0.35,
        lambda: noise(rng, SIZE, 9) > 0.3,
        lambda: np.zeros_like(x, bool),
    )
    inside = fields[rng.integers(len(fields))]()
    image = np.where(inside[..., None], b, a)
    edge = from_edge(x, y)
    if rng.random() < 0.6:
        image = np.where(((edge > 0.05) & (edge < 0.09))[..., None], c, image)
    return np.clip(image * (1 + 0.08 * noise(rng, SIZE, 80))[..., None], 0.01, 0.85)


def artwork(rng) -> np.ndarray:
    """A picture to hang: landscape, blocks, abstract or monochrome, some with a passe-partout."""
    y, x = places(PICTURE)
    p, q, r = rng.uniform(0.03, 0.8, (3, 3))

    def landscape():
        hill = 0.55 + 0.12 * noise(rng, PICTURE, 3)[0]
        sky = p * (1 - y[..., None]) + 0.8 * y[..., None]
        return np.where((y > hill)[..., None], q * (1.2 - y[..., None] * 0.6), sky)

    def blocks():
        return np.kron(rng.uniform(0.02, 0.8, (4, 4, 3)), np.ones((PICTURE // 4, PICTURE // 4, 1)))

    def abstract():
        field = noise(rng, PICTURE, 4)[..., None]
        return np.where(field > 0.6, p, np.where(field < -0.5, q, r))

    def monochrome():
        return np.repeat(np.clip(0.35 + 0.25 * noise(rng, PICTURE, 5), 0.02, 0.85)[..., None], 3, -1)

    image = (landscape, blocks, abstract, monochrome)[rng.integers(4)]()
    if rng.random() < 0.5:
        edge = from_edge(x, y)
        image = np.where((edge < 0.14)[..., None], 0.8, image)
    return np.clip(image, 0.01, 0.85)


def outdoors(rng, night: bool, height: int = 512) -> np.ndarray:
    """What a window shows by direction: (height, 2 height, 3), sky above the middle row.

    The radiance of an overcast zenith is about 1.
    """
    width = 2 * height
    up = np.linspace(1, -1, height)[:, None, None]
    blue = np.array([0.55, 0.75, 1.0]) if rng.random() < 0.5 else np.array([0.85, 0.92, 1.0])
    sky = blue * (0.75 + 0.35 * (1 - np.abs(up)))
    cloud = noise(rng, width, 5, 0.5)[:height, :, None]
    sky = np.where(cloud > 0.3, sky + 0.2 * np.minimum(cloud - 0.3, 1), sky)
    green = np.array(rng.uniform([0.10, 0.16, 0.05], [0.30, 0.34, 0.16]))
    leaf = 1 + 0.35 * noise(rng, width, 30)[:height, :, None]
    ground = np.broadcast_to(green * 1.2, sky.shape) * leaf
    hedge = 0.06 + 0.10 * (1 + noise(rng, width, 8)[0])[None, :, None]
    image = np.where(up < -0.12, ground, np.where(up < hedge, green * leaf * 0.9, sky))
    return np.clip(image, 0.01, 3) * (np.array([0.010, 0.013, 0.022]) if night else 1.0)


def wallpaper(rng, first, second) -> np.ndarray:
    """A printed pattern in two colours, tileable."""
    y, x = places(SIZE)
    n = int(rng.integers(2, 6))
    patterns = (
        lambda: (x * n) % 1 < rng.uniform(0.3, 0.6),
        lambda: np.abs((x * n) % 1 - 0.5) + np.abs((y * n) % 1 - 0.5) < 0.36,
        lambda: np.hypot((x * n) % 1 - 0.5, (y * n) % 1 - 0.5) < 0.24,
        lambda: ((x * n) % 1 < 0.25) ^ ((y * n) % 1 < 0.25),
        lambda: noise(rng, SIZE, 3.0 * n) > 0.7,
        lambda: np.abs(np.sin(2 * np.pi * n * x) * 0.25 + (y * n * 2) % 1 - 0.5) < 0.13,
        lambda: ((x * n * 2) % 1 < 0.06) | (((y * n * 2 + 0.5 * (np.floor(x * n * 2) % 2)) % 1) < 0.06),
    )
    inside = patterns[rng.integers(len(patterns))]()
    return np.where(inside[..., None], np.asarray(second), np.asarray(first))


def wall_relief(rng, kind: str) -> np.ndarray:
    """Slopes of a wall's surface: smooth, roller, plaster, brick or panels."""
    y, x = places(SIZE)
    if kind == "smooth":
        return slopes(noise(rng, SIZE, 4), 0.004)
    if kind == "roller":
        return slopes(noise(rng, SIZE, 45), 0.05)
    if kind == "plaster":
        return slopes(noise(rng, SIZE, 18) + 0.5 * noise(rng, SIZE, 60), 0.09)
    if kind == "brick":
        row = y * 8
        joint = ((row % 1) < 0.12) | (((x * 4 + 0.5 * (np.floor(row) % 2)) % 1) < 0.06)
        return slopes(np.where(joint, -1.0, 0.15 * noise(rng, SIZE, 40)), 0.12)
    groove = np.minimum((x * 6) % 1, 1 - (x * 6) % 1) < 0.05
    return slopes(np.where(groove, -1.0, 0.0), 0.10)
