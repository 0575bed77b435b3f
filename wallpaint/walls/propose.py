"""Walls found without a click: proposals for a photo or for a whole folder of them.

The family says by what: segment-anything's masks ranked by a small classifier (`classifier.py`), or a
SegFormer that learned ADE20K (`segformer.py`). A proposal is a guess; its confidence says how good a one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from wallpaint.dataset.folder import add_sample
from wallpaint.dataset.rows import SPLITS
from wallpaint.errors import UserError
from wallpaint.models.families import resolve_family
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.images import atomic_path, load_photo
from wallpaint.pixels.mask_ops import clean_mask
from wallpaint.pixels.recolor import estimate_paint
from wallpaint.walls.masks import Masker

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
LEAST = 0.02  # of the picture: a smaller wall is no proposal
SURE = 0.5  # a proposal less likely than this wants to be looked at


class WallFinder(Protocol):
    """What finds walls: `find(photo)` gives (probability of wall (h, w) at any size, confidence 0 to 1)."""

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Give each pixel's probability to be wall, and the IoU it expects of its own answer."""
        ...


@dataclass(frozen=True)
class Proposal:
    """The wall proposed for a photo."""

    mask: Image.Image  # 'L' of the photo's size, 255 = wall
    confidence: float  # guessed IoU with the true wall, 0 to 1
    paint: Swatch  # estimated from the wall

    @property
    def share(self) -> float:
        """Share of the photo that is wall."""
        return float(np.asarray(self.mask).mean() / 255)


def load_finder(family_name: str = "room-tiny", masker: Masker | None = None, **overrides: str) -> WallFinder:
    """Load what finds walls for a family.

    Args:
        family_name: a key of FAMILIES.
        masker: a Masker that is loaded already; None loads the family's own.
        overrides: `walls`, `sam` or `base_model` other than the family's.

    Raises:
        UserError: an unknown family, or weights that are missing or unfit.
    """
    family = resolve_family(family_name, **overrides)
    if not family.walls.endswith(".safetensors"):
        from wallpaint.walls.segformer import SegformerFinder

        return SegformerFinder.load(family.walls)
    from wallpaint.walls.classifier import ClassifierFinder

    sam = os.environ.get("WALLPAINT_SAM") or Path(family.base_model) / family.sam
    return ClassifierFinder.load(family.walls, masker or Masker.load(sam))


def propose_wall(finder: WallFinder, photo: Image.Image) -> Proposal | None:
    """Propose the wall of one photo; None where hardly any is found."""
    chance, confidence = finder.find(photo)
    full = Image.fromarray(chance.astype(np.float32)).resize(photo.size, Image.Resampling.BILINEAR)
    wall = np.asarray(full) > 0.5
    if wall.mean() < LEAST:
        return None
    mask = clean_mask(Image.fromarray(np.where(wall, 255, 0).astype(np.uint8)))
    return Proposal(mask, confidence, estimate_paint(photo, mask))


def list_photos(folder: Path) -> list[Path]:
    """List the photos in a folder and one level below it, in order.

    Raises:
        UserError: there are none.
    """
    found = sorted(p for p in [*folder.glob("*"), *folder.glob("*/*")] if p.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"no photo in {str(folder)!r}, given to --masks, put JPEG, PNG or WebP files there")
    return found


def mask_folder(folder: Path, out: Path, finder: WallFinder) -> Iterator[tuple[Path, Proposal | None, str]]:
    """Propose walls for a folder of photos and keep them as a dataset's training split.

    Photos in a subfolder are of one room, named after it; a photo right in the folder is a room of its own.
    `proposals.json` in the dataset lists file, photo, confidence, share, least confident first.

    Yields:
        (photo, its proposal or None, why there is none) as each photo is done.

    Raises:
        UserError: the folder has no photos, or the dataset has samples already.
    """
    photos = list_photos(folder)
    if any((out / split / "metadata.jsonl").exists() for split in SPLITS):
        raise UserError(f"{str(out)!r} has samples already, given to --out, choose a new folder")
    kept: list[dict] = []
    for path in photos:
        try:
            photo = load_photo(path)
            proposal = propose_wall(finder, photo)
        except UserError as error:
            yield path, None, str(error)
            continue
        if proposal is None:
            yield path, None, "no wall found"
            continue
        room = path.parent.name if path.parent != folder else path.stem
        sample = add_sample(out, "train", photo, proposal.mask, proposal.paint.rgb, "", room)
        about = {"confidence": round(proposal.confidence, 3), "share": round(proposal.share, 3)}
        kept.append({"file_name": f"train/{sample.image.name}", "photo": str(path.relative_to(folder)), **about})
        with atomic_path(out / "proposals.json") as temporary:
            rows = sorted(kept, key=lambda row: row["confidence"])
            temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
        yield path, proposal, ""
