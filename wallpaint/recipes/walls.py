"""Train the wall classifier of a family on rooms whose walls are known, and say how well it does on others.

python -m wallpaint.recipes.walls [--rooms assets/rooms/sample] [--test assets/rooms/test] [--sam DIR] [--out FILE]

On the rooms here it takes some minutes of one CPU core. The figures are printed and kept beside the weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wallpaint.dataset.folder import read_samples
from wallpaint.dataset.rows import Sample
from wallpaint.models.families import FAMILIES
from wallpaint.paths import ASSETS
from wallpaint.pixels.images import load_mask, load_photo
from wallpaint.walls.classifier import KEYS, ClassifierFinder, WallClassifier, cut, hash_sam
from wallpaint.walls.features import mask_features, shrink_masks
from wallpaint.walls.masks import Masker
from wallpaint.walls.propose import propose_wall

FAMILY = FAMILIES["room-tiny"]
ROOMS = ASSETS / "rooms"
HIDDEN, STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, NOISE = 32, 2000, 1024, 2e-3, 0.1, 0.1


def gather(samples: list[Sample], masker: Masker, flips: tuple[bool, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, F) of every mask in every photo, and how much of each is wall and its IoU, (N, 2)."""
    features, truths = [], []
    for number, sample in enumerate(samples):
        for flip in flips:
            photo, mask = load_photo(sample.image), load_mask(sample.mask)
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


def measure(finder: ClassifierFinder, samples: list[Sample]) -> dict[str, float]:
    """IoU of the proposed walls with the true ones, photos without a proposal counted as 0, and the time."""
    ious, confidences, started = [], [], time.perf_counter()
    for sample in samples:
        wall = np.asarray(load_mask(sample.mask)) >= 128
        proposal = propose_wall(finder, load_photo(sample.image))
        found = np.asarray(proposal.mask) >= 128 if proposal else np.zeros_like(wall)
        ious.append((wall & found).sum() / (wall | found).sum())
        confidences.append(proposal.confidence if proposal else 0.0)
    seconds = (time.perf_counter() - started) / len(samples)
    figures = {
        "iou_mean": np.mean(ious),
        "iou_median": np.median(ious),
        "iou_p10": np.percentile(ious, 10),
        "iou_above_0.8": np.mean(np.array(ious) > 0.8),
        "confidence_mean": np.mean(confidences),
        "confidence_correlation": np.corrcoef(ious, confidences)[0, 1],
        "seconds_per_photo": seconds,
    }
    return {"photos": len(samples), **{name: round(float(value), 3) for name, value in figures.items()}}


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(prog="python -m wallpaint.recipes.walls", description=__doc__.split("\n")[0])
    parser.add_argument("--rooms", type=Path, default=ROOMS / "sample", help="dataset to learn from")
    parser.add_argument("--test", type=Path, default=ROOMS / "test", help="rooms to measure on")
    parser.add_argument("--sam", default=FAMILY.base_model, help="folder of segment-anything")
    parser.add_argument("--out", type=Path, default=Path(FAMILY.walls), help="where the weights go")
    options = parser.parse_args()
    torch.set_num_threads(1)
    masker = Masker.load(options.sam)
    train = [s for split in ("train", "validation") for s in read_samples(options.rooms, split)]
    features, truths = gather(train, masker, (False, True))
    classifier = fit(features, truths, hash_sam(masker))
    classifier.save(options.out)
    figures = measure(ClassifierFinder(masker, classifier), read_samples(options.test, None))
    options.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
