"""The wall finder of `room-tiny`: two models that err differently, and a mean of their probabilities.

One ranks and joins segment-anything's automatic masks by a small classifier (numpy, a few KB), the other is a network
that looks at the photo (`network.py`).
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.errors import UserError, reason_of
from wallpaint.pixels.arrays import components
from wallpaint.pixels.mask_ops import expect_iou
from wallpaint.walls.features import SIDE, find_smooth, mask_features, shrink_masks
from wallpaint.walls.masks import Masker
from wallpaint.walls.network import NETWORK, NetworkFinder

# Chosen on rendered rooms held out, not on the test rooms: docs/room-tiny.md, What finds walls.
RANKED = 0.35  # what the ranked masks' word counts, the network's the rest
FOUND = 0.65  # so likely wall is a smooth part that is made wall as a whole, on average
LARGE = 0.01  # share of the photo: smaller parts stay as they are
KEYS = ("mean", "scale", "weight1", "bias1", "weight2", "bias2")


@dataclass(frozen=True)
class WallClassifier:
    """One hidden layer: features (N, F) to (N, 2), the share of a mask that is wall, and its IoU with it."""

    weights: dict[str, np.ndarray]  # KEYS
    sam: str = ""  # `hash_sam` of the segment-anything whose embeddings it learned from

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, F) to (N, 2), each 0 to 1."""
        w = self.weights
        hidden = np.maximum((features - w["mean"]) / w["scale"] @ w["weight1"] + w["bias1"], 0)
        return 1 / (1 + np.exp(-np.clip(hidden @ w["weight2"] + w["bias2"], -30, 30)))

    @classmethod
    def load(cls, path: str | Path) -> WallClassifier:
        """Load the weights; UserError where the file is missing or no such classifier."""
        from safetensors import safe_open

        if not Path(path).is_file():
            raise UserError(f"no wall classifier at {path}, give another or run python -m wallpaint.recipes.ranking")
        try:
            with safe_open(path, "numpy") as file:
                weights = {key: file.get_tensor(key) for key in KEYS}
                return cls(weights, (file.metadata() or {}).get("sam", ""))
        except Exception as error:  # safetensors has its own kinds
            raise UserError(f"wall classifier {path} cannot be read ({reason_of(error)}), fetch it again") from None

    def save(self, path: str | Path) -> None:
        """Write the weights atomically."""
        from safetensors.numpy import save_file

        from wallpaint.disk import atomic_path

        with atomic_path(path) as temporary:
            save_file(self.weights, temporary, {"sam": self.sam})


@dataclass(frozen=True)
class ClassifierFinder:
    """A WallFinder made of a Masker, the classifier and the network."""

    masker: Masker
    classifier: WallClassifier
    network: NetworkFinder

    @classmethod
    def load(cls, path: str | Path, masker: Masker) -> ClassifierFinder:
        """Load both for a Masker; UserError when the classifier learned from embeddings of another width."""
        classifier = WallClassifier.load(path)
        width = masker.predictor.model.prompt_encoder.embed_dim + 25
        if classifier.weights["mean"].shape != (width,):
            raise UserError(f"wall classifier {path} does not fit this SAM, run python -m wallpaint.recipes.ranking")
        if classifier.sam != hash_sam(masker):
            print(
                f"warning: the wall classifier {path} learned from another SAM, its confidence may be off, "
                "run python -m wallpaint.recipes.ranking",
                file=sys.stderr,
            )
        return cls(masker, classifier, NetworkFinder.load(NETWORK))

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Average for each pixel the shares of wall of the masks that hold it, and that with what the network says.

        Returns:
            ((h, w) probabilities of the photo stretched to the network's square, `expect_iou` of them).
        """
        seen, _ = self.network.find(photo)
        masks, guesses, embedding = cut(self.masker, photo)
        if len(masks):
            share = self.classifier(mask_features(photo, masks, guesses, embedding))[:, 0]
            chance = np.tensordot(share, masks, axes=1) / np.maximum(masks.sum(axis=0), 1)
            large = Image.fromarray(chance.astype(np.float32)).resize(seen.shape[::-1], Image.Resampling.BILINEAR)
            seen = even_out(seen + RANKED * (np.asarray(large) - seen), photo)
        return seen, expect_iou(seen)


def even_out(chance: np.ndarray, photo: Image.Image) -> np.ndarray:
    """Make every smooth part of a photo wall as a whole that is likely wall on average, more than FOUND.

    A wall is one even surface, in which a highlight or a shadow makes a hole.

    Args:
        chance: (h, w) 0 to 1, of each pixel of the photo stretched to a square to be wall.
        photo: RGB; small parts stay as they are.
    """
    part, sizes = components(find_smooth(photo))
    coarse = np.asarray(Image.fromarray(chance.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    mean = np.bincount(part.ravel(), coarse.ravel(), len(sizes)) / np.maximum(sizes, 1)
    mean[(sizes < LARGE * SIDE**2) | (mean <= FOUND)] = 0
    mean[0] = 0  # the edges between them
    whole = Image.fromarray(mean[part].astype(np.float32)).resize(chance.shape[::-1], Image.Resampling.NEAREST)
    return np.maximum(chance, np.asarray(whole))


def cut(masker: Masker, photo: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a photo into masks: (N, SIDE, SIDE) boolean, (N, 2) SAM's own guesses, (C, h, w) embedding."""
    masker.set_image(photo)
    masks, guesses = masker.segment()
    masks = shrink_masks(masks)
    there = masks.any(axis=(1, 2))
    return masks[there], guesses[there], masker.embedding()


def hash_sam(masker: Masker) -> str:
    """Tell one segment-anything from another by its weights."""
    digest = hashlib.sha256()
    for name, value in sorted(masker.predictor.model.image_encoder.state_dict().items()):
        digest.update(name.encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
