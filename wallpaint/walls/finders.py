"""What finds walls, chosen apart from what paints them: a table, and where its files are. Imports nothing heavy.

A finder is segment-anything, which is asked by clicks, and a model that finds walls unasked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wallpaint.errors import UserError
from wallpaint.models.fetching import FETCH, SAM_FILES, only_looking
from wallpaint.models.files import find_sam, find_weights
from wallpaint.paths import ASSETS, MODELS

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from wallpaint.walls.masks import Masker


class WallFinder(Protocol):
    """What finds walls: `find(photo)` gives (probability of wall (h, w) at any size, confidence 0 to 1)."""

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Give each pixel's probability to be wall, and the IoU it expects of its own answer."""
        ...


@dataclass(frozen=True)
class Finder:
    """One row of FINDERS."""

    name: str
    sam: str  # a folder with sam.json, or one of Meta's checkpoints by its name or path
    walls: str  # the .safetensors of our own, or a SegFormer on ADE20K (folder or hub id)
    pulled: bool = False  # whether both are too small to be trusted with clicks alone, see clicks.py

    def find_walls(self) -> Path:
        """Where the latter is, fetched where it is not; UserError where it cannot be."""
        path = Path(self.walls)
        return path if path.suffix == ".safetensors" else find_weights(self.walls, "")

    @property
    def there(self) -> bool:
        """Whether nothing has to be fetched."""
        try:
            with only_looking():
                find_sam(self.sam), self.find_walls()
            return True
        except UserError:
            return False

    @property
    def size(self) -> float:
        """How many GB fetching takes."""
        return SAM_FILES.get(self.sam, 0.0) + FETCH.get(self.walls, ("", 0.0))[1]


FINDERS = {
    finder.name: finder
    for finder in (
        Finder("room-tiny", str(MODELS / "room-tiny"), str(ASSETS / "walls" / "room-tiny.safetensors"), True),
        Finder("sam", "sam_vit_b_01ec64.pth", "nvidia/segformer-b4-finetuned-ade-512-512"),
    )
}


def pick_finder() -> Finder:
    """The one that WALLPAINT_FINDER names; else the better one where it is there, and a GPU or WALLPAINT_SAM too.

    Raises:
        UserError: there is none of that name.
    """
    name = os.environ.get("WALLPAINT_FINDER", "")
    if name and name not in FINDERS:
        raise UserError(f"finder {name!r} does not exist, named in WALLPAINT_FINDER, choose {' or '.join(FINDERS)}")
    if not name and FINDERS["sam"].there:
        from wallpaint.models.runtime import pick_runtime

        name = "sam" if os.environ.get("WALLPAINT_SAM") or pick_runtime().device.type != "cpu" else ""
    return FINDERS[name or "room-tiny"]


def load_masker(finder: Finder) -> Masker:
    """Load its segment-anything; UserError where the weights are missing or unfit."""
    from wallpaint.walls.masks import Masker

    return Masker.load(find_sam(finder.sam))


def load_finder(finder: Finder, masker: Masker | None = None) -> WallFinder:
    """Load what finds walls unasked; UserError where the weights are missing or unfit."""
    if not finder.walls.endswith(".safetensors"):
        from wallpaint.walls.segformer import SegformerFinder

        return SegformerFinder.load(finder.walls)
    from wallpaint.walls.classifier import ClassifierFinder

    return ClassifierFinder.load(finder.walls, masker or load_masker(finder))
