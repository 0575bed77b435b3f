"""What the wall classifier looks at: a mask's place, shape and colours, and SAM's embedding in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from wallpaint.pixels.color import rgb_to_lab

SIDE = 128  # pixels a side that photo and masks are looked at; photos are stretched to it
EDGE = 2.0  # LAB a pixel: where a smooth part ends; chosen on rendered rooms held out and two real photos


def mask_features(photo: Image.Image, masks: np.ndarray, guesses: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Describe masks for the classifier.

    Args:
        photo: RGB, any size.
        masks: (N, SIDE, SIDE) boolean, of the photo stretched to a square.
        guesses: (N, 2) SAM's own guess of a mask's IoU, and its stability.
        embedding: (C, h, w) SAM's embedding of the photo.

    Returns:
        (N, C + 25) float32: the embedding's mean over the mask, then area; mean and spread of L*a*b* / 50
        inside; mean outside; means of x, y, x², y²; shares of the four borders; bounding box and how full
        it is; the two guesses.
    """
    pixels = np.asarray(photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    lab = rgb_to_lab(pixels / 255).reshape(-1, 3) / 50
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    inside = flat.sum(axis=1, keepdims=True) + 1e-6
    mean = flat @ lab / inside
    spread = np.sqrt(np.maximum(flat @ lab**2 / inside - mean**2, 0))
    outside = (1 - flat) @ lab / ((1 - flat).sum(axis=1, keepdims=True) + 1)
    y, x = (axis.ravel() / (SIDE - 1) for axis in np.mgrid[:SIDE, :SIDE])
    place = flat @ np.stack([x, y, x**2, y**2], axis=1).astype(np.float32) / inside
    edges = np.stack([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], axis=1).mean(axis=2)
    box = np.concatenate([_extent(np.any(masks, axis=2)), _extent(np.any(masks, axis=1))], axis=1)
    full = inside[:, 0] / SIDE**2 / np.maximum(1e-3, (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2]))
    means = _mean_inside(masks, embedding)
    parts = [means, inside / SIDE**2, mean, spread, outside, place, edges, box, full[:, None], guesses]
    return np.concatenate(parts, axis=1).astype(np.float32)


def find_smooth(photo: Image.Image) -> np.ndarray:
    """Tell where a photo is smooth, (SIDE, SIDE) boolean: where LAB changes by less than EDGE a pixel."""
    small = photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    lab = rgb_to_lab(np.asarray(small, np.float32) / 255)
    return np.hypot(*(np.linalg.norm(np.gradient(lab, axis=axis), axis=-1) for axis in (0, 1))) < EDGE


def shrink_masks(masks: np.ndarray) -> np.ndarray:
    """Masks (N, h, w) boolean to (N, SIDE, SIDE) boolean."""
    if masks.shape[1:] == (SIDE, SIDE):
        return masks
    images = (Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)) for mask in masks)
    return np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)) >= 128 for image in images])


def _extent(any_: Any) -> np.ndarray:
    """First and last True of each row of (N, SIDE), as shares of SIDE: (N, 2)."""
    return np.stack([any_.argmax(axis=1), SIDE - any_[:, ::-1].argmax(axis=1)], axis=1) / SIDE


def _mean_inside(masks: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Mean of an embedding (C, h, w) over each of (N, SIDE, SIDE) masks: (N, C)."""
    channels, height, width = embedding.shape
    rows, columns = np.arange(SIDE) * height // SIDE, np.arange(SIDE) * width // SIDE
    weight = np.zeros((len(masks), height, width), dtype=np.float32)
    for i in range(height):  # a loop over rows of cells: np.add.at would be slower
        band = masks[:, rows == i].sum(axis=1)
        for j in range(width):
            weight[:, i, j] = band[:, columns == j].sum(axis=1)
    flat = weight.reshape(len(masks), -1)
    return flat @ embedding.reshape(channels, -1).T / (flat.sum(axis=1, keepdims=True) + 1e-6)
