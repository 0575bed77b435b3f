"""Teach the classifier that ranks segment-anything's masks: `python -m wallpaint.recipes.ranking [--rooms DIR]`.

On the sample rooms it takes some minutes of one CPU core. `python -m wallpaint.recipes.walls --measure` measures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import Sample
from wallpaint.paths import ASSETS
from wallpaint.walls.classifier import KEYS, WallClassifier, cut, hash_sam
from wallpaint.walls.features import mask_features, shrink_masks
from wallpaint.walls.finders import FINDERS, load_masker
from wallpaint.walls.masks import Masker

HIDDEN, STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, NOISE = 32, 2000, 1024, 2e-3, 0.1, 0.1


def gather(samples: list[Sample], masker: Masker, flips: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, F) of every mask in every photo, and how much of each is wall and its IoU, (N, 2)."""
    features, truths = [], []
    for number, sample in enumerate(samples):
        for flip in flips:
            photo, mask = sample.load()
            if flip:
                turn = Image.Transpose.FLIP_LEFT_RIGHT
                photo, mask = photo.transpose(turn), mask.transpose(turn)
            masks, guesses, embedding = cut(masker, photo)
            wall = shrink_masks(np.asarray(mask)[None] >= 128)
            both, either = (masks & wall).sum(axis=(1, 2)), (masks | wall).sum(axis=(1, 2))
            features.append(mask_features(photo, masks, guesses, embedding))
            truths.append(np.stack([both / masks.sum(axis=(1, 2)), both / np.maximum(either, 1)], axis=1))
        print(f"\rphotos {number + 1}/{len(samples)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return np.concatenate(features), np.concatenate(truths).astype(np.float32)


def fit(features: np.ndarray, truths: np.ndarray, sam: str, steps: int = STEPS) -> WallClassifier:
    """Fit one hidden layer by cross entropy to the shares, features blurred by a little noise."""
    generator = torch.Generator().manual_seed(0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    x, y = torch.from_numpy((features - mean) / scale).float(), torch.from_numpy(truths)
    sizes = ((x.shape[1], HIDDEN), (HIDDEN,), (HIDDEN, 2), (2,))
    learned = [0.1 * torch.randn(size, generator=generator) for size in sizes]
    for part in learned:
        part.requires_grad_(True)
    optimizer = torch.optim.AdamW(learned, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        seen = x[rows] + NOISE * torch.randn((BATCH, x.shape[1]), generator=generator)
        logits = torch.relu(seen @ learned[0] + learned[1]) @ learned[2] + learned[3]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    arrays = [mean, scale, *(part.detach().numpy() for part in learned)]
    named = zip(KEYS, arrays, strict=True)
    return WallClassifier({key: np.ascontiguousarray(array, np.float32) for key, array in named}, sam)


def main() -> None:
    """Train and save."""
    finder = FINDERS["room-tiny"]
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.ranking", description=__doc__.split("\n")[0])
    parser.add_argument("--rooms", type=Path, default=ASSETS / "rooms" / "sample", help="dataset to learn from")
    parser.add_argument("--out", type=Path, default=Path(finder.walls), help="where the weights go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    masker = load_masker(finder)
    samples = [s for split in ("train", "validation") for s in read_samples(options.rooms, split)]
    fit(*gather(samples, masker, (False, True)), hash_sam(masker)).save(options.out)


if __name__ == "__main__":
    main()
