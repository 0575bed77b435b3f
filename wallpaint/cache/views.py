"""A sample as it is encoded, and what a method wants of it."""

import hashlib
from dataclasses import dataclass

import torch
from PIL import Image, ImageOps

from wallpaint.dataset.rows import Sample
from wallpaint.models.bundle import Models
from wallpaint.models.latents import prepare_picture
from wallpaint.pixels.images import load_mask, load_photo, model_size


@dataclass(frozen=True)
class Wanted:
    """What a method learns from, beside latents, texts and colours."""

    reads: str = "tokens"  # a row of encoders.ENCODERS
    reference: str = "swatch"  # or 'self_crop', 'other_view', see Method.reference
    variants: int = 1  # crops and holes a sample
    color_jitter: float = 0.0  # of crops; a swatch is its colour
    holes: bool = False  # random holes in the wall, beside the whole wall
    detail: bool = False  # the wall's texture, see references.detail_map


@dataclass(frozen=True)
class View:
    """A sample, perhaps mirrored, and the hashes of its files."""

    sample: Sample
    mirrored: bool
    photo_key: str
    mask_key: str

    @property
    def key(self) -> str:
        """What its pixels depend on."""
        return f"{self.photo_key} {self.mask_key} {self.mirrored}"

    def read(self, models: Models) -> tuple[Image.Image, dict[str, torch.Tensor]]:
        """The photo at working size, and what `prepare_picture` makes of it."""
        photo = load_photo(self.sample.image)
        mask = load_mask(self.sample.mask, photo.size)
        if self.mirrored:
            photo, mask = ImageOps.mirror(photo), ImageOps.mirror(mask)
        size = model_size(photo.size, models.family.resolution, models.family.multiple)
        picture = prepare_picture(photo, mask, size, models.family.mask_growth, models.latent_factor)
        return photo.resize(size, Image.Resampling.LANCZOS), picture


def list_views(samples: list[Sample], flip: bool) -> list[View]:
    """Every sample, and with `flip` its mirror image after it."""
    paths = {path for sample in samples for path in (sample.image, sample.mask)}
    files = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    turns = (False, True) if flip else (False,)
    return [View(s, mirrored, files[s.image], files[s.mask]) for s in samples for mirrored in turns]
