"""Walls by a SegFormer that learned ADE20K, where class 0 is wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from wallpaint.errors import UserError
from wallpaint.models.files import find_file
from wallpaint.models.runtime import build_alone, pick_runtime

WALL = "wall"


@dataclass(frozen=True)
class SegformerFinder:
    """A WallFinder made of transformers' semantic segmentation."""

    model: Any
    processor: Any
    wall: int  # the class's number

    @classmethod
    @build_alone
    def load(cls, source: str) -> SegformerFinder:
        """Load from a folder or from the hub's cache.

        Raises:
            UserError: a file is missing, or the model knows no class 'wall'.
        """
        from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

        folder = find_file(source, "config.json", "the wall finder").parent
        model = AutoModelForSemanticSegmentation.from_pretrained(folder, local_files_only=True)
        classes = {str(name).split(";")[0].strip(): int(i) for i, name in model.config.id2label.items()}
        if WALL not in classes:
            raise UserError(f"{source} knows no class {WALL!r}, as the wall finder, give one trained on ADE20K")
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        return cls(model.eval().to(pick_runtime().device), processor, classes[WALL])

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Give each pixel's probability of wall, and its mean over the wall as the confidence."""
        import torch

        with torch.no_grad():
            inputs = self.processor(images=photo.convert("RGB"), return_tensors="pt").to(self.model.device)
            chance = self.model(**inputs).logits.softmax(dim=1)[0, self.wall].float().cpu().numpy()
        wall = chance > 0.5
        return chance, float(chance[wall].mean()) if wall.any() else 0.0
