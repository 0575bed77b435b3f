"""Furniture in its own frame: x along the wall, y from the wall (0) into the room, z up; metres.

Each function adds to a builder and returns the footprint (width, depth).
"""

from __future__ import annotations

from .geometry import Builder, Material
from .lamps import table_lamp, vessel
from .palette import Palette


def legs(b: Builder, width, depth, height, material: Material, radius, inset) -> None:
    """Four round legs below a top of width × depth."""
    for x in (-width / 2 + inset, width / 2 - inset):
        for y in (inset, depth - inset):
            b.cylinder(radius, 0, height, material, centre=(x, y))


def sofa(b: Builder, p: Palette, rng, seats: int = 0) -> tuple[float, float]:
    """A sofa, or an armchair with one seat."""
    seats = seats or int(rng.integers(2, 4))
    cloth, arm, seat = p.cloth(rng), rng.uniform(0.12, 0.2), rng.uniform(0.6, 0.72)
    width, depth, foot, rise = seats * seat + 2 * arm, rng.uniform(0.8, 0.95), 0.1, rng.uniform(0.72, 0.88)
    b.box((-width / 2, 0.02, foot), (width / 2, depth, 0.3), cloth, 0.03)
    b.box((-width / 2, 0.02, foot), (width / 2, 0.2, rise), cloth, 0.07)
    for side in (-1, 1):
        b.box((side * width / 2, 0.03, foot), (side * (width / 2 - arm), depth, rng.uniform(0.55, 0.62)), cloth, 0.06)
    for i in range(seats):
        x = -width / 2 + arm + i * seat
        b.box((x + 0.005, 0.2, 0.29), (x + seat - 0.005, depth + 0.02, 0.46), cloth, 0.05)
        b.box((x + 0.01, 0.17, 0.45), (x + seat - 0.01, 0.36, rise + 0.06), cloth, 0.08)
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(-width / 2 + arm + 0.2, max(width / 2 - arm - 0.2, -width / 2 + arm + 0.21))
        with b.at(x, 0.44, 0.62, rng.uniform(-15, 15)):
            b.ball((0, 0, 0), (0.21, 0.09, 0.19), p.accent(rng), 0.55)
    legs(b, width, depth, foot, p.wood(rng), 0.022, 0.08)
    return width, depth


def armchair(b: Builder, p: Palette, rng):
    """One seat."""
    return sofa(b, p, rng, 1)


def bed(b: Builder, p: Palette, rng):
    """A bed with its head at the wall."""
    width, depth, wood = rng.choice([0.95, 1.45, 1.65]), 2.05, p.wood(rng)
    b.box(
        (-width / 2 - 0.03, 0, 0),
        (width / 2 + 0.03, 0.07, rng.uniform(0.8, 1.15)),
        wood if rng.random() < 0.6 else p.cloth(rng),
        0.02,
    )
    b.box((-width / 2, 0.06, 0.08), (width / 2, depth, 0.3), wood, 0.015)
    b.box((-width / 2 + 0.02, 0.08, 0.28), (width / 2 - 0.02, depth - 0.02, 0.5), p.linen(rng), 0.07)
    b.box(
        (-width / 2 - 0.02, rng.uniform(0.55, 0.9), 0.3), (width / 2 + 0.02, depth + 0.01, 0.555), p.cloth(rng), 0.05
    )
    count = 1 if width < 1.2 else 2
    for i in range(count):
        b.ball((width * ((i + 0.5) / count - 0.5), 0.34, 0.58), (0.33, 0.2, 0.1), p.linen(rng), 0.6)
    legs(b, width, depth, 0.09, wood, 0.03, 0.1)
    return width, depth


def chair(b: Builder, p: Palette, rng, cloth=None, wood=None):
    """A dining chair; its back is at y = 0."""
    cloth, wood = cloth or p.cloth(rng), wood or p.wood(rng)
    b.box((-0.22, 0, 0.42), (0.22, 0.44, 0.48), cloth, 0.025)
    b.box((-0.21, 0, 0.5), (0.21, 0.04, 0.88), cloth, 0.02)
    legs(b, 0.42, 0.44, 0.43, wood, 0.017, 0.03)
    for x in (-0.17, 0.17):
        b.rod((x, 0.02, 0.44), (x, 0.02, 0.62), 0.012, wood)
    return 0.45, 0.46


def table(b: Builder, p: Palette, rng, width, depth, height=0.74, round_top=False):
    """A table with something on it."""
    top, leg = p.top(rng), p.wood(rng)
    if round_top:
        b.cylinder(width / 2, height - 0.03, height, top, centre=(0, depth / 2))
        b.cylinder(0.05, 0.02, height - 0.03, leg, centre=(0, depth / 2))
        b.cylinder(0.28, 0, 0.03, leg, centre=(0, depth / 2), top=0.2)
    else:
        b.box((-width / 2, 0, height - 0.035), (width / 2, depth, height), top, 0.006)
        legs(b, width, depth, height - 0.03, leg, 0.025, 0.06)
    if rng.random() < 0.8:
        vessel(b, p, rng, rng.uniform(-0.2, 0.2), depth / 2, height)
    return width, depth


def coffee_table(b: Builder, p: Palette, rng):
    """A low table."""
    if rng.random() < 0.3:
        return table(b, p, rng, 0.8, 0.8, 0.4, True)
    return table(b, p, rng, rng.uniform(0.9, 1.2), 0.55, 0.4)


def dining(b: Builder, p: Palette, rng):
    """A table with chairs around it."""
    width, depth, cloth, wood = rng.uniform(1.4, 1.9), 0.85, p.cloth(rng), p.wood(rng)
    with b.at(0, 0.55):
        table(b, p, rng, width, depth)
    for x in (-0.38, 0.38) if width < 1.6 else (-0.55, 0.0, 0.55):
        for y, turn in ((0.3, 0), (1.65, 180)):
            if rng.random() < 0.88:
                with b.at(x, y + rng.uniform(-0.08, 0.05), 0, turn + rng.uniform(-9, 9)):
                    chair(b, p, rng, cloth, wood)
    return width, 1.95


def desk(b: Builder, p: Palette, rng):
    """A desk at the wall with a monitor, a lamp and a chair."""
    width = rng.uniform(1.1, 1.5)
    top = p.top(rng)
    b.box((-width / 2, 0.02, 0.7), (width / 2, 0.65, 0.735), top, 0.006)
    legs(b, width, 0.65, 0.7, p.wood(rng), 0.022, 0.05)
    black = Material((0.015, 0.015, 0.017), f0=0.04, rough=0.25)
    b.box((-0.28, 0.2, 0.86), (0.28, 0.225, 1.19), black, 0.005)
    b.box((-0.03, 0.19, 0.74), (0.03, 0.2, 0.95), black, 0.003)
    b.box((-0.1, 0.13, 0.735), (0.1, 0.28, 0.745), black, 0.003)
    if rng.random() < 0.6:
        with b.at(rng.choice([-1, 1]) * (width / 2 - 0.18), 0.2, 0.735):
            table_lamp(b, p, rng)
    with b.at(rng.uniform(-0.15, 0.15), rng.uniform(0.95, 1.1), 0, 180 + rng.uniform(-25, 25)):
        chair(b, p, rng)
    return width, 1.15


def dresser(b: Builder, p: Palette, rng, low=False):
    """A chest of drawers, a sideboard when ``low``."""
    width, height = (rng.uniform(1.2, 1.7), 0.55) if low else (rng.uniform(0.8, 1.2), rng.uniform(0.7, 0.95))
    wood, knob = p.top(rng), p.metal(rng)
    b.box((-width / 2, 0.01, 0.1), (width / 2, 0.42, height), wood, 0.008)
    legs(b, width, 0.42, 0.1, p.wood(rng), 0.02, 0.06)
    rows, columns = (1, 3) if low else (3, 2)
    w, h = width / columns, (height - 0.14) / rows
    for i in range(columns):
        for j in range(rows):
            x, z = -width / 2 + (i + 0.5) * w, 0.12 + (j + 0.5) * h
            b.box(
                (x - w / 2 + 0.012, 0.41, z - h / 2 + 0.01), (x + w / 2 - 0.012, 0.437, z + h / 2 - 0.01), wood, 0.004
            )
            b.ball((x, 0.45, z), (0.016, 0.016, 0.016), knob)
    if rng.random() < 0.7:
        vessel(b, p, rng, rng.uniform(-width / 3, width / 3), 0.2, height)
    if rng.random() < 0.35:
        with b.at(rng.choice([-1, 1]) * width / 3, 0.2, height):
            table_lamp(b, p, rng)
    return width, 0.45


def television(b: Builder, p: Palette, rng):
    """A sideboard and a screen above it."""
    size = dresser(b, p, rng, True)
    w = rng.uniform(1.0, 1.35)
    b.box(
        (-w / 2, 0.05, 0.62),
        (w / 2, 0.1, 0.62 + w * 0.57),
        Material((0.012, 0.012, 0.014), f0=0.04, rough=0.15),
        0.006,
    )
    return size


def shelf(b: Builder, p: Palette, rng):
    """An open bookcase with books and things."""
    width, height, wood = rng.uniform(0.7, 1.2), rng.uniform(1.5, 2.0), p.top(rng)
    count = int(rng.integers(4, 6))
    b.box((-width / 2, 0.005, 0.02), (width / 2, 0.02, height), wood, 0.002)
    for side in (-1, 1):
        b.box((side * width / 2, 0.01, 0), (side * (width / 2 - 0.025), 0.32, height), wood, 0.003)
    gap = (height - 0.08) / count
    for i in range(count + 1):
        z = 0.04 + i * gap
        b.box((-width / 2, 0.01, z), (width / 2, 0.32, z + 0.025), wood, 0.003)
    for i in range(count):
        fill_shelf(b, p, rng, width, 0.065 + i * gap, gap - 0.05)
    return width, 0.34


def fill_shelf(b: Builder, p: Palette, rng, width, z, room) -> None:
    """Books side by side, or a vessel, on one board."""
    if rng.random() < 0.25:
        vessel(b, p, rng, rng.uniform(-0.2, 0.2), 0.17, z)
        return
    x, end = -width / 2 + 0.04 + rng.uniform(0, 0.15), width / 2 - 0.05 - rng.uniform(0, width * 0.4)
    while x < end:
        w, h = rng.uniform(0.02, 0.05), room * rng.uniform(0.65, 0.95)
        b.box((x, 0.05, z), (x + w, 0.26, z + h), p.book(rng), 0.003)
        x += w + 0.002


def nightstand(b: Builder, p: Palette, rng):
    """A small cabinet with a lamp."""
    wood = p.top(rng)
    b.box((-0.22, 0.02, 0.08), (0.22, 0.4, 0.5), wood, 0.008)
    b.box((-0.2, 0.39, 0.28), (0.2, 0.415, 0.48), wood, 0.004)
    legs(b, 0.44, 0.38, 0.08, p.wood(rng), 0.018, 0.05)
    with b.at(0, 0.2, 0.5):
        table_lamp(b, p, rng)
    return 0.46, 0.42


def kitchen(b: Builder, p: Palette, rng):
    """A counter with cabinets below and a shelf above."""
    width = rng.uniform(1.8, 2.8)
    front, knob = p.top(rng), p.metal(rng)
    b.box((-width / 2, 0.01, 0.1), (width / 2, 0.58, 0.87), front, 0.004)
    b.box((-width / 2 + 0.02, 0.01, 0), (width / 2 - 0.02, 0.52, 0.1), Material((0.05, 0.05, 0.05)), 0.002)
    b.box((-width / 2 - 0.01, 0.01, 0.87), (width / 2 + 0.01, 0.62, 0.905), p.stone(rng), 0.006)
    count = int(width / 0.5)
    for i in range(count):
        x0, x1 = (-width / 2 + width * (i + k) / count for k in (0, 1))
        b.box((x0 + 0.006, 0.57, 0.12), (x1 - 0.006, 0.6, 0.855), front, 0.004)
        b.rod((x0 + 0.1, 0.625, 0.78), (x1 - 0.1, 0.625, 0.78), 0.007, knob)
    for _ in range(int(rng.integers(1, 4))):
        vessel(b, p, rng, rng.uniform(-width / 2 + 0.2, width / 2 - 0.2), 0.25, 0.905)
    if rng.random() < 0.6:
        w = width * rng.uniform(0.4, 0.7)
        b.box((-w / 2, 0.01, 1.5), (w / 2, 0.24, 1.535), p.wood(rng), 0.004)
        for _ in range(4):
            vessel(b, p, rng, rng.uniform(-w / 2 + 0.1, w / 2 - 0.1), 0.12, 1.535)
    return width, 0.65


def ottoman(b: Builder, p: Palette, rng):
    """A pouf."""
    r = rng.uniform(0.24, 0.36)
    b.ball((0, 0.35, 0.2), (r, r, 0.2), p.cloth(rng), 0.6)
    return 2 * r, 2 * r
