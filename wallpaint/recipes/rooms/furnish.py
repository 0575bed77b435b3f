"""Which furniture stands where."""

from __future__ import annotations

import numpy as np

from . import furniture as f
from . import lamps
from . import textures as tx
from .fittings import add_picture
from .geometry import Builder, Material
from .palette import Palette, colour
from .room import Room, block, collides, wall_length, wall_place

# Main pieces for the wall that is looked at, pieces for the other walls, free pieces in the middle.
TYPES = {
    "living room": (
        (f.sofa, f.sofa, f.television),
        (f.armchair, f.shelf, f.dresser, lamps.plant, lamps.floor_lamp),
        (f.coffee_table, f.ottoman),
    ),
    "bedroom": ((f.bed, f.bed), (f.nightstand, f.dresser, lamps.plant, f.armchair, f.shelf), (f.ottoman,)),
    "dining room": ((f.dresser, f.shelf), (lamps.plant, f.dresser, lamps.floor_lamp), (f.dining,)),
    "office": ((f.desk,), (f.shelf, f.dresser, lamps.plant, f.armchair), ()),
    "hallway": ((f.dresser,), (lamps.plant, f.ottoman, f.shelf), ()),
    "kitchen": ((f.kitchen,), (f.shelf, lamps.plant, f.dresser), (f.dining,)),
}


def put(room: Room, make, palette: Palette, rng, wall: str, offsets, depth: float = 0.03) -> bool:
    """Try to stand a piece at a wall (or ``depth`` metres from it) at one of the offsets along it."""
    piece = Builder()
    make(piece, palette, rng)
    x0, y0, _, degrees = wall_place(room, wall)
    for offset in offsets:
        trial = Builder()
        with trial.at(x0, y0, 0, degrees), trial.at(offset, depth, 0):
            parts = [
                (
                    v @ trial.turn.T + trial.shift,
                    n @ trial.turn.T,
                    uv,
                    faces,
                    room.builder.material(piece.materials[m]),
                )
                for v, n, uv, faces, m in piece.parts
            ]
        points = np.concatenate([p[0] for p in parts])
        low, high = points.min(0), points.max(0)
        if not collides(room, low, high):
            room.builder.parts += parts
            room.boxes.append((low, high))
            room.things.insert(0, make.__name__) if wall == "back" else room.things.append(make.__name__)
            return True
    return False


def furnish(room: Room, palette: Palette, rng) -> None:
    """The main piece at the back wall, others around, pictures, a rug."""
    mains, others, middles = TYPES[room.type]
    w, d, _ = room.size
    main = mains[rng.integers(len(mains))]
    spots = [rng.uniform(-0.5, 0.5), 0, w / 6, -w / 6, w / 4, -w / 4]
    if not put(room, main, palette, rng, "back", spots):
        for wall in ("left", "right"):
            if put(room, main, palette, rng, wall, rng.uniform(-d / 3, d / 3, 6)):
                break
    for make in middles:
        if rng.random() < 0.8:
            put(room, make, palette, rng, "back", rng.uniform(-w / 5, w / 5, 4), rng.uniform(1.25, 1.6))
    if main is f.bed:
        put(room, f.nightstand, palette, rng, "back", rng.permutation([-1.2, -1.0, -0.85, 0.85, 1.0, 1.2]))
    count = int(rng.integers(1, 2 if room.type == "hallway" else 4))
    for index in rng.permutation(len(others))[:count]:
        wall = ("back", "left", "right")[rng.integers(3)]
        length = wall_length(room, wall)
        low = -length / 2 + 0.4 if wall != "back" else -length / 2 + 0.3
        put(room, others[index], palette, rng, wall, rng.uniform(low, -low, 8))
    hang_pictures(room, palette, rng)
    if rng.random() < 0.6:
        lay_rug(room, rng)


def hang_pictures(room: Room, palette: Palette, rng) -> None:
    """Pictures, clocks and mirrors at eye height where the wall is free."""
    for wall, tries in (
        ("back", int(rng.integers(1, 4))),
        ("left", int(rng.integers(0, 2))),
        ("right", int(rng.integers(0, 2))),
    ):
        length, z = wall_length(room, wall), rng.uniform(1.45, 1.65)
        for _ in range(tries):
            width, height = rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.75)
            x = rng.uniform(-1, 1) * (length / 2 - width / 2 - 0.25)
            before = len(room.boxes)
            block(room, wall, (x - width / 2, 0.0, z - height / 2), (x + width / 2, 0.05, z + height / 2))
            box = room.boxes.pop()
            if len(room.boxes) == before and not collides(room, *box):
                room.boxes.append(box)
                with room.builder.at(*wall_place(room, wall)), room.builder.at(x, 0, z):
                    add_picture(room, width, height, palette, rng)


def lay_rug(room: Room, rng) -> None:
    """A rug in the middle."""
    w, d, _ = room.size
    room.textures["rug"] = tx.rug(rng, [colour(rng, (0, 360), (0.05, 0.6), (0.25, 0.85)) for _ in range(3)])
    half_x, half_y = min(rng.uniform(0.7, 1.3), w / 2 - 0.35), rng.uniform(0.9, 1.3)
    y = d * rng.uniform(0.5, 0.6)
    room.builder.quad(
        (w / 2 - half_x, y - half_y, 0.012),
        (2 * half_x, 0, 0),
        (0, 2 * half_y, 0),
        Material((1.0, 1.0, 1.0), texture="rug"),
        uv=(0.9999, 0.9999),
    )
