"""Wall masks: segment-anything asked by clicks and boxes; what is done to masks themselves is in mask_ops.

Masks are PIL 'L' of the photo's size, 0 and 255 = repaint. Torch is imported where a model is
loaded or asked.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from wallpaint.errors import UserError, reason_of
from wallpaint.pixels.mask_ops import clean_mask, enlarge, from_mask, to_mask
from wallpaint.walls.clicks import check_clicks
from wallpaint.walls.sams import load_folder, load_meta

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling import Sam


POINTS = 8  # a side of the grid of clicks that cuts a photo into masks
KEPT_EMBEDDINGS = 16  # 64 KB each with room-tiny, 4 MB with Meta's


class Masker:
    """Segment-anything with one photo embedded: `set_image` once, `predict` as often as the user clicks."""

    def __init__(self, sam: Sam, stretch: bool = False) -> None:
        """Wrap a model; its weights are frozen.

        `stretch`: the model learned from squares alone, so a photo is stretched to one instead of padded.
        """
        from segment_anything import SamPredictor

        self.predictor = SamPredictor(sam.eval().requires_grad_(False))
        self.stretch = stretch
        self.photo: Image.Image | None = None  # the one embedded last
        self._given: Image.Image | None = None  # the very object that `set_image` was given
        self._embeddings: OrderedDict[tuple, Any] = OrderedDict()  # by the picture shown

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device | None = None) -> Masker:
        """Load a family folder or its `sam.json` (weights in `sam.safetensors` beside it), or Meta's .pth.

        `device`: None takes that of `pick_runtime`, the GPU where there is one; weights stay float32.

        Raises:
            UserError: a file is missing, or is no such model.
        """
        from wallpaint.models.runtime import pick_runtime

        path = Path(path)
        meta = path.suffix in (".pth", ".pt", ".safetensors")
        if not meta:
            path = path if path.suffix == ".json" else path / "sam.json"
        if not path.is_file():
            raise UserError(f"segment-anything weights {path} do not exist: give a folder with sam.json or a .pth")
        try:
            sam, stretch = (load_meta(path), False) if meta else load_folder(path)
            return cls(sam.to(device or pick_runtime().device), stretch)
        except Exception as error:  # json, torch, pickle and safetensors each have their own
            raise UserError(
                f"segment-anything weights {path} cannot be loaded ({reason_of(error)}): fetch them again"
            ) from None

    def set_image(self, photo: Image.Image) -> None:
        """Embed a photo, unless it is one of the last few; then ask `predict`, `segment` or `embedding`.

        Everything slow happens here, once for the clicks on a photo and the search for its walls.
        """
        predictor = self.predictor
        if photo is self._given:
            return
        side = predictor.model.image_encoder.img_size
        self.photo = shown = photo.convert("RGB")
        if self.stretch:
            shown = shown.resize((side, side), Image.Resampling.LANCZOS)
        key = (shown.size, hashlib.sha256(shown.tobytes()).digest())
        if key not in self._embeddings:
            predictor.set_image(np.asarray(shown))
            self._embeddings[key] = predictor.features, predictor.original_size, predictor.input_size
        self._embeddings.move_to_end(key)
        while len(self._embeddings) > KEPT_EMBEDDINGS:
            self._embeddings.popitem(last=False)
        predictor.features, predictor.original_size, predictor.input_size = self._embeddings[key]
        predictor.is_image_set = True
        self._scale = np.array(shown.size, dtype=np.float32) / photo.size
        self._given = photo

    @property
    def cell(self) -> float:
        """Pixels of the photo that one of a mask spans: half a step of what the decoder gives."""
        sides = self.predictor.model.prompt_encoder.mask_input_size
        return max(self.photo.size) / (2 * max(sides)) if self.photo else 1.0

    def embedding(self) -> np.ndarray:
        """Give the embedding of the photo itself, without what pads it to a square: (C, h, w) float32."""
        found, sizes = self.predictor.features[0].float().cpu().numpy(), self.predictor.input_size
        height, width = (max(1, round(found.shape[-1] * size / max(sizes))) for size in sizes)
        return found[:, :height, :width]

    def segment(self) -> tuple[np.ndarray, np.ndarray]:
        """Cut the photo into every mask that a grid of clicks gives.

        Like segment-anything's own generator, but without its filters: two walls and the room between them
        share one box, so that removing duplicates by boxes would throw walls away.

        Returns:
            (N, h, w) boolean masks at the size the model sees, (N, 2) its guesses of IoU and their stability.

        Raises:
            UserError: no photo has been embedded.
        """
        import torch
        from segment_anything.utils.amg import build_point_grid, calculate_stability_score

        predictor = self.predictor
        if not predictor.is_image_set:
            raise UserError("no photo is embedded: call set_image first")
        height, width = predictor.original_size
        places = predictor.transform.apply_coords(build_point_grid(POINTS) * (width, height), (height, width))
        masks, guesses = [], []
        for batch in torch.as_tensor(places, dtype=torch.float32, device=predictor.device)[:, None].split(16):
            ones = torch.ones(batch.shape[:2], dtype=torch.int, device=predictor.device)
            logits, ious, _ = predictor.predict_torch(batch, ones, multimask_output=True, return_logits=True)
            flat = logits.flatten(0, 1)
            stable = calculate_stability_score(flat, predictor.model.mask_threshold, 0.3)
            masks.append((flat > predictor.model.mask_threshold).cpu().numpy())
            guesses.append(torch.stack([ious.flatten(), stable.nan_to_num()], dim=1).float().cpu().numpy())
        return np.concatenate(masks), np.concatenate(guesses)

    def predict(
        self, points: Sequence[tuple[float, float]], labels: Sequence[int], box: Sequence[float] | None = None
    ) -> list[tuple[Image.Image, float]]:
        """Propose three masks for clicks and a box in pixels of the photo.

        Args:
            points: (x, y) of each click.
            labels: 1 = this is wall, 0 = this is not.
            box: (x0, y0, x1, y1) around the wall.

        Returns:
            (mask, guessed IoU), best first: what agrees with most clicks leads, and of these the likelier.
            With more than one prompt the answer for unambiguous prompts is among them, as segment-anything
            advises.

        Raises:
            UserError: no prompt, a click outside the photo, as many labels as points it has not.
        """
        ask = partial(self.predictor.predict, *self._check(points, labels, box), return_logits=True)
        found, scores, _ = ask(multimask_output=True)
        answers = [(found[i], float(scores[i])) for i in np.argsort(-scores)]
        if len(labels) + (box is not None) > 1:
            single, score, _ = ask(multimask_output=False)
            answers = [(single[0], float(score[0])), *answers[:-1]]
        full = self.photo.size if self.photo else (0, 0)
        masks = [(to_mask(enlarge(_clean_logits(wall), full)), score) for wall, score in answers]
        return sorted(masks, key=lambda answer: -_agreement(answer[0], points, labels))

    def _check(self, points, labels, box) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Turn prompts into arrays; refuse what cannot be asked."""
        if self.photo is None:
            raise UserError("no photo is embedded: call set_image first")
        check_clicks(points, labels, self.photo.size)
        points, labels = (np.asarray(points, dtype=np.float32).reshape(-1, 2), np.asarray(labels, dtype=np.int64))
        if not len(points) and box is None:
            raise UserError("nothing to go by: click the wall or draw a box around it")
        if box is not None:
            x0, y0, x1, y1 = (float(value) for value in box)
            box = np.array([min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], dtype=np.float32)
        box = None if box is None else box * np.tile(self._scale, 2)
        return (points * self._scale, labels, box) if len(points) else (None, None, box)


def _clean_logits(logits: np.ndarray) -> np.ndarray:
    """Flip the sign of the logits (h, w) of specks and holes, at the model's size.

    Logits are then enlarged smoothly, where a mask would get stairs, and cleaning at the photo's size is slow.
    """
    wall = from_mask(clean_mask(to_mask(logits > 0)))
    return np.where(wall, np.maximum(np.abs(logits), 1e-3), -np.abs(logits))


def _agreement(mask: Image.Image, points: Sequence[tuple[float, float]], labels: Sequence[int]) -> int:
    """Count the clicks that a mask agrees with."""
    wall = from_mask(mask)
    height, width = wall.shape
    pairs = zip(points, labels, strict=True)
    return sum(wall[min(int(y), height - 1), min(int(x), width - 1)] == bool(label) for (x, y), label in pairs)
