"""Rooms drawn by seed: walls, openings, light, then the furniture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import lamps
from . import textures as tx
from .fittings import Opening, add_ceiling_spots, add_door, add_window, build_walls
from .furnish import TYPES, furnish
from .geometry import Material
from .palette import DEEP, LIGHT, WOODS, Palette, colour, sample_paint, to_linear, to_srgb
from .room import Room, block, wall_length, wall_place
from .tracer import Sun

KINDS = ("plain", "dark", "patterned", "accent")


def build_room(seed: int, kind: str) -> Room:
    """The room of a seed."""
    rng = np.random.default_rng([seed, 7])
    name = list(TYPES)[rng.choice(len(TYPES), p=[0.28, 0.22, 0.15, 0.14, 0.09, 0.12])]
    size = (rng.uniform(3.4, 5.2), rng.uniform(3.8, 5.6), rng.uniform(2.4, 2.9))
    if name == "hallway":
        size = (rng.uniform(1.9, 2.6), rng.uniform(4.5, 6.5), rng.uniform(2.4, 2.8))
    room = Room(seed, kind, name, size, sample_paint(rng, DEEP if kind == "dark" else range(6)))
    palette = Palette(wood_base=WOODS[rng.integers(len(WOODS))])
    make_textures(room, rng)
    night = rng.random() < (0.4 if kind == "dark" else 0.22) or name == "hallway"
    set_lamps(palette, rng, night)
    walls = choose_walls(room, rng)
    openings = make_openings(room, rng)
    build_walls(room, walls, openings, rng)
    add_light(room, palette, openings, rng, night)
    room.shell = len(room.builder.parts)
    furnish(room, palette, rng)
    return room


def make_textures(room: Room, rng) -> None:
    """Floor, furniture grain, reliefs, a pattern."""
    base = WOODS[rng.integers(len(WOODS))]
    floors = {
        "planks": lambda: tx.planks(rng, base),
        "tiles": lambda: tx.tiles(rng, rng.uniform(0.25, 0.6) * np.array([1, 0.95, 0.88])),
        "carpet": lambda: tx.carpet(rng, colour(rng, (20, 60), (0.05, 0.3), (0.45, 0.8))),
    }
    chance = [0.3, 0.7, 0.0] if room.type == "kitchen" else [0.65, 0.15, 0.2]
    room.textures["floor"] = floors[list(floors)[rng.choice(3, p=chance)]]()
    room.textures.update(
        grain=tx.wood(rng, (1.0, 1.0, 1.0)),
        weave=tx.fabric(rng, (0.95, 0.95, 0.95)),
        mottle=tx.carpet(rng, (0.9, 0.9, 0.9)),
    )
    kinds = ("smooth", "roller", "plaster", "brick", "panels")
    relief = kinds[rng.choice(5, p=[0.35, 0.35, 0.18, 0.06, 0.06])]
    room.reliefs["wall"] = tx.wall_relief(rng, relief)
    scale = {"brick": 1.0, "panels": 1.2, "smooth": 2.0}.get(relief, 0.7)
    gloss = 0.04 if rng.random() < 0.45 else 0.0
    room.wall = Material(
        (1.0, 1.0, 1.0), relief="wall", scale=scale, f0=gloss, rough=rng.uniform(0.45, 0.75), wall=True
    )
    if room.kind == "patterned":
        first = sample_paint(rng, (0, 1, 2, 3, 4, 5, 6))
        own = rng.random() >= 0.5
        second = sample_paint(rng, range(7)) if own else np.multiply(first, rng.uniform(0.5, 0.85))
        room.textures["pattern"] = tx.wallpaper(rng, to_linear(first), to_linear(np.clip(second, 4, 239)))
        room.pattern = "pattern"
        # A material has one scale: the relief repeats with the pattern.
        room.wall = replace(room.wall, scale=rng.uniform(0.45, 1.1))
        room.paint = tuple(int(c) for c in to_srgb(room.textures["pattern"].mean((0, 1))))


def choose_walls(room: Room, rng) -> dict[str, Material]:
    """A material a wall; an accent room paints only one of them."""
    if room.kind != "accent":
        return dict.fromkeys(("back", "front", "left", "right"), room.wall)
    other = to_linear(sample_paint(rng, LIGHT if rng.random() < 0.85 else None))
    rest = replace(room.wall, albedo=tuple(float(c) for c in other), wall=False)
    walls = dict.fromkeys(("back", "front", "left", "right"), rest)
    walls[rng.choice(["back", "back", "left", "right"])] = room.wall
    return walls


def make_openings(room: Room, rng) -> dict[str, list[Opening]]:
    """Windows and a door: where the walls have holes or covers."""
    openings: dict[str, list[Opening]] = {w: [] for w in ("back", "front", "left", "right")}
    side = ("left", "right")[rng.integers(2)]
    opposite = "right" if side == "left" else "left"
    for wall, chance in ((side, 0.9), ("front", 0.75), ("back", 0.15), (opposite, 0.12)):
        if room.type != "hallway" and rng.random() < chance:
            length = wall_length(room, wall)
            width, low = rng.uniform(1.0, min(2.2, length - 1.2)), rng.choice([0.85, 0.9, 0.45, 0.1])
            x = rng.uniform(-1, 1) * (length / 2 - width / 2 - 0.45)
            high = min(rng.uniform(2.0, 2.3), room.size[2] - 0.2)
            openings[wall].append(Opening("window", x - width / 2, x + width / 2, low, high))
    if room.type != "hallway" and not any(openings.values()):
        openings["front"].append(Opening("window", -0.8, 0.8, 0.85, 2.1))
    doors = (("left", 0.7), ("right", 0.7)) if room.type == "hallway" else (("back", 0.25), (opposite, 0.45))
    for wall, chance in doors:
        length = wall_length(room, wall)
        x = rng.choice([-1, 1]) * (length / 2 - 0.75) + rng.uniform(-0.1, 0.2)
        if room.type == "hallway":
            x = rng.uniform(-0.2, 0.2) * length
        free = all(x + 0.6 < o.x0 or x - 0.6 > o.x1 for o in openings[wall])
        if rng.random() < chance and free and abs(x) < length / 2 - 0.55:
            openings[wall].append(Opening("door", x - 0.42, x + 0.42, 0.0, 2.03))
            if room.type != "hallway":
                break
    return openings


def set_lamps(palette: Palette, rng, night: bool) -> None:
    """Lamps are lit at night and at times by day."""
    lit = 1.0 if night else float(rng.random() < 0.35)
    warm = np.array(((1.0, 0.72, 0.42), (1.0, 0.82, 0.6), (1.0, 0.92, 0.8))[rng.integers(3)])
    power = lit * rng.uniform(0.7, 1.3)
    cream = (0.75, 0.72, 0.66)
    palette.shade = Material(cream, emission=tuple(warm * 3.5 * power))
    palette.bulb = Material(cream, emission=tuple(warm * 60 * power))
    palette.glow = Material(cream, emission=tuple(warm * 9 * power))


def add_light(room: Room, palette: Palette, openings, rng, night: bool) -> None:
    """The outdoors behind the windows, the sun through one of them, doors, ceiling lamps."""
    room.textures["outdoors"] = tx.outdoors(rng, night)
    strength = rng.uniform(5, 9)
    windows = fill_openings(room, palette, openings, strength, rng)
    if windows and not night and rng.random() < 0.4:
        inward = {"back": (0, 1), "front": (0, -1), "left": (-1, 0), "right": (1, 0)}[windows[0]]
        across = rng.uniform(-1.2, 1.2)
        high = rng.uniform(0.5, 1.2)
        direction = (inward[0] + across * inward[1], inward[1] + across * inward[0], high)
        room.sun = Sun(direction, tuple(np.array([1.0, 0.9, 0.75]) * strength * rng.uniform(1.5, 4.0)))
    w, d, h = room.size
    if night or not windows or rng.random() < 0.4:
        if rng.random() < 0.55 and room.type != "hallway":
            with room.builder.at(w / 2, d * rng.uniform(0.5, 0.65)):
                lamps.pendant(room.builder, palette, rng, h)
        else:
            add_ceiling_spots(room, palette, rng)
    if night:  # a lamp behind the camera, so that corners are not black
        fill = Material((0.7,) * 3, emission=palette.glow.emission)
        room.builder.quad((w / 2 - 0.2, 0.6, h - 0.004), (0.4, 0, 0), (0, 0.4, 0), fill)


def fill_openings(room: Room, palette: Palette, openings, strength: float, rng) -> list[str]:
    """Windows and doors in all walls; the walls that have windows, one a window."""
    pane = Material(texture="outdoors", emission=(strength,) * 3, pane=True)
    white = rng.random() < 0.8
    tone = colour(rng, (30, 60), (0.0, 0.05), (0.85, 0.93)) if white else WOODS[rng.integers(len(WOODS))]
    trim = Material(tone, f0=0.04, rough=0.4)
    cloth = palette.cloth(rng) if rng.random() < 0.6 else palette.linen(rng)
    door = trim if rng.random() < 0.6 else palette.wood(rng)
    windows = []
    for wall, holes in openings.items():
        with room.builder.at(*wall_place(room, wall)):
            for o in holes:
                if o.kind == "window":
                    curtain = cloth if rng.random() < 0.5 else None
                    add_window(room.builder, o, pane, trim, curtain, palette.metal(rng), rng)
                    windows.append(wall)
                    room.things.append("window")
                    pad, low = (0.05, o.z0) if curtain is None else (0.32, 0.02)
                    block(room, wall, (o.x0 - pad, 0, low), (o.x1 + pad, 0.16, o.z1 + 0.2))
                else:
                    add_door(room.builder, o, door, trim, palette.metal(rng))
                    block(room, wall, (o.x0 - 0.1, 0, 0), (o.x1 + 0.1, 0.75, o.z1 + 0.1))
    return windows
