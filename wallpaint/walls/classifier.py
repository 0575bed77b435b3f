"""Segment-anything's automatic masks, ranked and joined by a small wall classifier (numpy, a few KB)."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.pixels.arrays import components
from wallpaint.pixels.color import rgb_to_lab
from wallpaint.walls.features import SIDE, mask_features, shrink_masks
from wallpaint.walls.masks import Masker

# Of `even_out`, chosen on every third view of a pool of 53 rendered rooms and two real photos, not on the test rooms.
EDGE = 2.0  # LAB a pixel: where a smooth part ends
LARGE = 0.01  # share of the photo: smaller parts stay as they are
ENOUGH = 0.35  # share of a part that has to be found for all of it
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
        """Load the weights.

        Raises:
            UserError: the file is missing or no such classifier.
        """
        from safetensors import safe_open

        if not Path(path).is_file():
            raise UserError(f"no wall classifier at {path}, give another or run python -m wallpaint.recipes.walls")
        try:
            with safe_open(path, "numpy") as file:
                weights = {key: file.get_tensor(key) for key in KEYS}
                return cls(weights, (file.metadata() or {}).get("sam", ""))
        except Exception as error:  # safetensors has its own kinds
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"wall classifier {path} cannot be read ({reason}), fetch it again") from None

    def save(self, path: str | Path) -> None:
        """Write the weights atomically."""
        from safetensors.numpy import save_file

        from wallpaint.pixels.images import atomic_path

        with atomic_path(path) as temporary:
            save_file(self.weights, temporary, {"sam": self.sam})


@dataclass(frozen=True)
class ClassifierFinder:
    """A WallFinder made of a Masker and the classifier."""

    masker: Masker
    classifier: WallClassifier

    @classmethod
    def load(cls, path: str | Path, masker: Masker) -> ClassifierFinder:
        """Load the classifier for a Masker; UserError when it learned from embeddings of another width."""
        classifier = WallClassifier.load(path)
        width = masker.predictor.model.prompt_encoder.embed_dim + 25
        if classifier.weights["mean"].shape != (width,):
            raise UserError(f"wall classifier {path} does not fit this SAM, run python -m wallpaint.recipes.walls")
        if classifier.sam != hash_sam(masker):
            print(
                f"warning: the wall classifier {path} learned from another SAM, its confidence may be off, "
                "run python -m wallpaint.recipes.walls",
                file=sys.stderr,
            )
        return cls(masker, classifier)

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Give each pixel the mean, over the masks it is in, of how much of them is wall; then `even_out`.

        Returns:
            ((SIDE, SIDE) probabilities of the photo stretched to a square, guessed IoU of what is above 0.5).
        """
        masks, guesses, embedding = cut(self.masker, photo)
        if not len(masks):
            return np.zeros((SIDE, SIDE), np.float32), 0.0
        share = self.classifier(mask_features(photo, masks, guesses, embedding))[:, 0]
        chance = np.tensordot(share, masks, axes=1) / np.maximum(masks.sum(axis=0), 1)
        chance = even_out(chance, photo)
        wall = chance[None] > 0.5
        if not wall.any():
            return chance, 0.0
        near = (masks & wall).sum(axis=(1, 2)) / (masks | wall).sum(axis=(1, 2))
        guess = guesses[[near.argmax()]]  # of the mask most like it
        return chance, float(self.classifier(mask_features(photo, wall, guess, embedding))[0, 1])


def even_out(chance: np.ndarray, photo: Image.Image) -> np.ndarray:
    """Let every smooth part of a photo be wall, or not, as a whole.

    A wall is one even surface, which masks cut in pieces; a third of it found is enough for the rest.

    Args:
        chance: (SIDE, SIDE) 0 to 1, of each pixel to be wall.
        photo: RGB; a part ends where LAB changes by EDGE a pixel, and small ones stay as they are.
    """
    small = photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    lab = rgb_to_lab(np.asarray(small, np.float32) / 255)
    slope = np.hypot(*(np.linalg.norm(np.gradient(lab, axis=axis), axis=-1) for axis in (0, 1)))
    part, sizes = components(slope < EDGE)
    mean = np.bincount(part.ravel(), chance.ravel(), len(sizes)) / np.maximum(sizes, 1)
    large = sizes >= LARGE * SIDE**2
    large[0] = False  # the edges between them
    return np.where(large[part], np.clip(mean[part] - ENOUGH + 0.5, 0, 1), chance)


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
