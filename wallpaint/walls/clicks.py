"""Clicks that hold: each pulls the surface about it into the wall or out of it, and what lies beyond stays.

A small segment-anything answers every click anew, and may forget with the third what it knew after the first. Here
a belief about each place (of what finds walls, of segment-anything, or a mask marked before) is pulled by how
easily a place is reached from a click without a step of colour: geodesic distances, as in Bai and Sapiro 2007
("A geodesic framework for fast interactive image and video segmentation and matting").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from wallpaint.errors import UserError
from wallpaint.pixels.arrays import BILINEAR, BOX, fit_size, grow, resize
from wallpaint.pixels.color import rgb_to_lab
from wallpaint.pixels.mask_ops import LIGHTNESS_COUNTS, enlarge, from_mask

Point = tuple[float, float]

# Chosen on rooms of the sample and two real photos, not on the test rooms.
SIDE = 160  # longest side of the photo in which distances are measured
EDGE = 4.0  # CIELAB: the square of a step over it is how far apart two neighbours are,
STEP = 0.01  # and this much even on an even surface
PULL = 10.0  # log odds that a click adds where it is; 1 / e of it at distance 1
FOUND, ASKED, MARKED = 6.0, 1.8, 5.0  # log odds at most: a finder's, segment-anything's, of a mask marked before
FAR = 12.0  # beyond, a click pulls at nothing
REACHES = (1.0, 0.4, 2.5)  # of a correction's answers: as it seems, less and more
# A correction that means a thing as a whole, one of two walls, reaches so much farther in it: what is to be wall is so
# at most to this share, and what goes leaves at least this share of the wall. Chosen on rendered rooms held out.
WITHIN, NEW, LEFT = 3.0, 0.2, 0.5


def check_clicks(points: Sequence[Point], labels: Sequence[int], size: tuple[int, int]) -> None:
    """Refuse clicks that a photo of `size` (w, h) cannot have been given: UserError."""
    if len(points) != len(labels) or not np.isin(labels, (0, 1)).all():
        raise UserError(f"{len(points)} clicks have {len(labels)} labels: give each click 1 (wall) or 0 (not)")
    if not all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in points):
        raise UserError(f"a click lies outside the photo ({size[0]}x{size[1]})")


@dataclass(frozen=True)
class Surfaces:
    """A photo as a net of places, each as far from its neighbours as its colour."""

    net: csr_array  # (h * w, h * w) distances
    size: tuple[int, int]  # (w, h) of the places
    photo: tuple[int, int]  # (w, h) in pixels

    @classmethod
    def of(cls, photo: Image.Image) -> Surfaces:
        """Look at an RGB photo."""
        width, height = size = fit_size(photo.size, SIDE)
        small = np.asarray(photo.resize(size, Image.Resampling.BOX).convert("RGB"), np.float32) / 255
        lab = (rgb_to_lab(small) * (LIGHTNESS_COUNTS, 1, 1)).reshape(-1, 3)
        places, pairs = np.arange(width * height).reshape(height, width), []
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
            here = places[: height - down, max(0, -across) : width - max(0, across)].ravel()
            there = places[down:, max(0, across) : width - max(0, -across)].ravel()
            apart = ((lab[here] - lab[there]) ** 2).sum(-1) / EDGE**2 + STEP * np.hypot(down, across)
            pairs.append((here, there, apart))
        here, there, apart = (np.concatenate(part) for part in zip(*pairs, strict=True))
        half = coo_array((apart, (here, there)), shape=(places.size,) * 2).tocsr()
        return cls((half + half.T).tocsr(), size, photo.size)

    @property
    def cell(self) -> float:
        """Pixels of the photo that a place spans."""
        return max(self.photo) / max(self.size)

    def place(self, points: Sequence[Point]) -> list[int]:
        """Which places hold (x, y) in pixels of the photo."""
        (width, height), (across, down) = self.size, self.photo
        return [
            min(int(y * height / down), height - 1) * width + min(int(x * width / across), width - 1)
            for x, y in points
        ]

    def distances(self, points: Sequence[Point], labels: Sequence[int]) -> np.ndarray:
        """How far each place is from the nearest click off the wall (label 0) and on it (1), (2, h, w).

        Raises:
            UserError: as `check_clicks`.
        """
        check_clicks(points, labels, self.photo)
        far = np.full((2, self.size[1], self.size[0]), np.inf)
        for label in set(labels):
            clicked = self.place([point for point, own in zip(points, labels, strict=True) if own == label])
            found = dijkstra(self.net, indices=clicked, min_only=True, limit=FAR)
            far[label] = found.reshape(far[label].shape)
        return far

    def fit(self, values: np.ndarray) -> np.ndarray:
        """Values (h, w) of the photo at any size, at each place."""
        values = values.astype(np.float32)
        return resize(values, self.size, BOX if values.shape[1] > self.size[0] else BILINEAR)


def believe(
    surfaces: Surfaces, asked: Image.Image, found: np.ndarray, points: Sequence[Point], labels: Sequence[int]
) -> np.ndarray:
    """Log odds of wall at each place, (h, w), before any click pulls.

    Args:
        surfaces: of the photo.
        asked: 'L' of any size: what segment-anything answered to the first click or the box.
        found: (h, w) 0 to 1: what finds walls unasked; it counts where the first click on a wall is on its wall.
        points: (x, y) of each click, in pixels of the photo.
        labels: 1 = this is wall, 0 = this is not.
    """
    odds = ASKED * (2 * surfaces.fit(from_mask(asked)) - 1)
    chance = surfaces.fit(found).clip(1e-4, 1 - 1e-4)
    walls = surfaces.place([point for point, own in zip(points, labels, strict=True) if own])
    if not walls or chance.flat[walls[0]] > 0.5:
        odds = odds + np.log(chance / (1 - chance)).clip(-FOUND, FOUND)
    return odds


def decide(surfaces: Surfaces, odds: np.ndarray, far: np.ndarray, reach: float = 1) -> np.ndarray:
    """The wall by a belief (h, w) and the `distances` from clicks: boolean, of the photo's size."""
    out, into = np.exp(-far / reach)
    return enlarge(odds + PULL * (into - out), surfaces.photo)


def correct(surfaces: Surfaces, before: np.ndarray, far: np.ndarray) -> list[np.ndarray]:
    """A mask (H, W) of the photo's size, corrected by clicks, with each of REACHES.

    Away from what they change not one pixel does.
    """
    odds = MARKED * (2 * surfaces.fit(before) - 1)
    rough, cell = enlarge(odds, surfaces.photo), surfaces.cell
    masks = [decide(surfaces, odds, far, reach) for reach in REACHES]
    return [keep_away(before, mask, mask != rough, cell) for mask in masks]


def reach_within(
    far: np.ndarray, before: np.ndarray, things: Sequence[np.ndarray], labels: Sequence[int]
) -> np.ndarray:
    """Shorten distances within the things that clicks mean as a whole.

    A click on something that is hardly marked means all of it, and so does one off the wall where most of the wall
    stays without it. What looks like the thing under a click may else be both walls of a corner.

    Args:
        far: (2, h, w), see `Surfaces.distances`.
        before: (h, w) boolean, the mask that is corrected.
        things: (h, w) boolean each, the thing under each click.
        labels: 1 = this is wall, 0 = this is not.
    """
    whole, wall = np.zeros(far.shape, bool), before.copy()
    for thing, label in sorted(zip(things, labels, strict=True), key=lambda pair: -pair[1]):  # what is added first
        if label and (thing & before).sum() <= NEW * thing.sum():
            whole[1] |= thing
            wall |= thing
        elif not label and (wall & ~thing).sum() >= LEFT * wall.sum():
            whole[0] |= thing
    return far / np.where(whole, WITHIN, 1)


def keep_away(before: np.ndarray, after: np.ndarray, changed: np.ndarray, cell: float) -> np.ndarray:
    """`after` within two cells of what changed, `before` elsewhere; all boolean (H, W)."""
    return np.where(grow(changed, round(2 * cell)), after, before)
