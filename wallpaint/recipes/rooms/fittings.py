"""What is part of the walls: openings, skirting, doors, curtains, pictures, ceiling lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import textures as tx
from .geometry import Builder, Material
from .palette import WOODS, Palette, colour
from .room import Room, wall_length, wall_place


@dataclass(frozen=True)
class Opening:
    """A window (a hole) or a door (a cover) in a wall's frame, metres."""

    kind: str
    x0: float
    x1: float
    z0: float
    z1: float


def build_walls(room: Room, walls: dict[str, Material], openings, rng) -> None:
    """Floor, ceiling, four walls with holes, skirting, crown."""
    b = room.builder
    w, d, h = room.size
    floor = Material(
        (1.0, 1.0, 1.0), texture="floor", scale=rng.uniform(1.2, 1.8), f0=0.04, rough=rng.uniform(0.3, 0.6)
    )
    turned = rng.random() < 0.5
    corners = np.array([[0, 0], [0, d], [w, 0], [w, d]])[:, :: -1 if turned else 1]
    b.grid(np.array([[0, 0, 0], [0, d, 0], [w, 0, 0], [w, d, 0]], float).reshape(2, 2, 3), floor, uv=corners)
    b.quad((0, 0, h), (w, 0, 0), (0, d, 0), Material(colour(rng, (40, 60), (0.0, 0.04), (0.88, 0.94))))
    white = colour(rng, (30, 60), (0.0, 0.05), (0.82, 0.93))
    trim = Material(white if rng.random() < 0.7 else WOODS[rng.integers(len(WOODS))], f0=0.04, rough=0.4)
    rise, crown = rng.uniform(0.06, 0.13), rng.random() < 0.4
    for wall, material in walls.items():
        length = wall_length(room, wall)
        with b.at(*wall_place(room, wall)):
            wall_with_holes(b, length, h, [o for o in openings[wall] if o.kind == "window"], material)
            edges = [-length / 2, *sorted(e for o in openings[wall] if o.z0 < rise for e in (o.x0, o.x1)), length / 2]
            for x0, x1 in zip(edges[::2], edges[1::2], strict=True):
                b.box((x0, 0, 0), (x1, 0.015, rise), trim, 0.005)
            if crown:
                b.box((-length / 2, 0, h - 0.07), (length / 2, 0.05, h), Material(white), 0.02)


def wall_with_holes(b: Builder, length: float, height: float, holes, material: Material) -> None:
    """Cells of a grid along the holes' edges, without the holes."""
    xs = sorted({-length / 2, length / 2, *(x for o in holes for x in (o.x0, o.x1))})
    zs = sorted({0.0, height, *(z for o in holes for z in (o.z0, o.z1))})
    for x0, x1 in zip(xs, xs[1:], strict=False):
        for z0, z1 in zip(zs, zs[1:], strict=False):
            x, z = (x0 + x1) / 2, (z0 + z1) / 2
            if not any(o.x0 < x < o.x1 and o.z0 < z < o.z1 for o in holes):
                b.quad((x0, 0, z0), (x1 - x0, 0, 0), (0, 0, z1 - z0), material)


def add_window(b: Builder, o: Opening, pane: Material, trim: Material, cloth: Material | None, metal, rng) -> None:
    """Reveal, frame with bars, sill, pane; curtains when there is a cloth."""
    deep = -0.2
    for corner, edge in (
        ((o.x0, deep, o.z0), (0, 0, o.z1 - o.z0)),
        ((o.x1, deep, o.z0), (0, 0, o.z1 - o.z0)),
        ((o.x0, deep, o.z1), (o.x1 - o.x0, 0, 0)),
        ((o.x0, deep, o.z0), (o.x1 - o.x0, 0, 0)),
    ):
        b.quad(corner, (0, -deep, 0), edge, trim)
    b.quad((o.x0, deep + 0.005, o.z0), (o.x1 - o.x0, 0, 0), (0, 0, o.z1 - o.z0), pane)
    bar, columns, rows = 0.05, int(rng.integers(1, 4)), int(rng.integers(1, 3))
    for i in range(columns + 1):
        x = o.x0 + (o.x1 - o.x0) * i / columns
        b.box((x - bar / 2, deep + 0.01, o.z0), (x + bar / 2, deep + 0.06, o.z1), trim)
    for j in range(rows + 1):
        z = o.z0 + (o.z1 - o.z0) * j / rows
        b.box((o.x0, deep + 0.01, z - bar / 2), (o.x1, deep + 0.06, z + bar / 2), trim)
    b.box((o.x0 - 0.04, -0.02, o.z0 - 0.03), (o.x1 + 0.04, 0.06, o.z0), trim)
    if cloth is None:
        return
    top = o.z1 + 0.12
    b.rod((o.x0 - 0.35, 0.1, top), (o.x1 + 0.35, 0.1, top), 0.012, metal)
    for x0, x1 in ((o.x0 - 0.3, o.x0 + 0.08), (o.x1 - 0.08, o.x1 + 0.3)):
        t = np.linspace(0, 1, 49)
        fold = 0.1 + 0.03 * np.sin(t * 2 * np.pi * 6) + 0.008 * np.sin(t * 17)
        column = np.stack([x0 + t * (x1 - x0), fold, np.full_like(t, top)], -1)
        low = column + np.array([0, 0, 0.02 - top])
        b.grid(np.stack([column, low]), cloth)


def add_door(b: Builder, o: Opening, panel: Material, trim: Material, metal: Material) -> None:
    """A closed door with its frame, inset panels and a handle."""
    b.box((o.x0, 0, 0), (o.x1, 0.025, o.z1), panel, 0.004)
    for x in (o.x0 - 0.07, o.x1):
        b.box((x, 0, 0), (x + 0.07, 0.04, o.z1 + 0.07), trim, 0.005)
    b.box((o.x0 - 0.07, 0, o.z1), (o.x1 + 0.07, 0.04, o.z1 + 0.07), trim, 0.005)
    for z0, z1 in ((0.2, 0.9), (1.05, 1.85)):
        b.box((o.x0 + 0.13, 0.02, z0), (o.x1 - 0.13, 0.035, z1), panel, 0.012)
    b.rod((o.x1 - 0.09, 0.07, 1.0), (o.x1 - 0.2, 0.07, 1.0), 0.01, metal)
    b.rod((o.x1 - 0.09, 0.02, 1.0), (o.x1 - 0.09, 0.07, 1.0), 0.01, metal)


def add_picture(room: Room, width: float, height: float, palette: Palette, rng) -> None:
    """A framed picture, a mirror or a clock around the origin of the frame."""
    b, choice = room.builder, rng.random()
    frame = palette.wood(rng) if rng.random() < 0.5 else Material((0.03,) * 3 if rng.random() < 0.5 else (0.75,) * 3)
    if choice < 0.1:
        t = np.linspace(0, 2 * np.pi, 33)
        for r, y, material in ((0.16, 0.03, frame), (0.145, 0.034, Material((0.8, 0.8, 0.78)))):
            ring = np.stack([r * np.cos(t), np.full_like(t, y), r * np.sin(t)], -1)
            b.grid(np.stack([np.zeros_like(ring) + [0, y, 0], ring]), material)
            b.grid(np.stack([ring * [1, 0, 1], ring]), material)
        b.rod((0, 0.037, 0), (0.0, 0.037, 0.11), 0.005, Material((0.02,) * 3))
        b.rod((0, 0.037, 0), (0.07, 0.037, 0.03), 0.006, Material((0.02,) * 3))
        return
    rim = 0.02
    for low, high in (
        ((-width / 2, 0, -height / 2), (-width / 2 + rim, 0.03, height / 2)),
        ((width / 2 - rim, 0, -height / 2), (width / 2, 0.03, height / 2)),
        ((-width / 2, 0, -height / 2), (width / 2, 0.03, -height / 2 + rim)),
        ((-width / 2, 0, height / 2 - rim), (width / 2, 0.03, height / 2)),
    ):
        b.box(low, high, frame, 0.004)
    if choice < 0.2:
        inside = Material((0.85, 0.86, 0.85), metal=True, rough=0.05)
    else:
        name = f"art{sum(n.startswith('art') for n in room.textures)}"
        room.textures[name] = tx.artwork(rng)
        inside = Material((1.0, 1.0, 1.0), texture=name)
    # Minus z, so that the picture's first row hangs on top.
    b.quad((width / 2, 0.012, height / 2), (-width, 0, 0), (0, 0, -height), inside, uv=(0.9999, 0.9999))


def add_ceiling_spots(room: Room, palette: Palette, rng) -> None:
    """Rows of small flush lamps."""
    w, d, h = room.size
    lamp = Material((0.8,) * 3, emission=tuple(np.multiply(palette.bulb.emission, 0.8)))
    for x in (w * 0.28, w * 0.72) if w > 2.8 else (w / 2,):
        for y in (d * 0.25, d * 0.6, d * 0.85):
            room.builder.cylinder(0.06, h - 0.012, h - 0.001, Material((0.7,) * 3), centre=(x, y))
            room.builder.lathe([(1e-4, h - 0.014), (0.045, h - 0.014)], lamp, (x, y, 0))
