"""A sample as it is encoded, and what a method needs encoded of it."""

from dataclasses import dataclass

import torch
from PIL import Image, ImageOps

from wallpaint.cache.buckets import Size
from wallpaint.dataset.files import FileIndex
from wallpaint.dataset.rows import Sample
from wallpaint.models.bundle import Models
from wallpaint.models.latents import prepare_picture


@dataclass(frozen=True)
class EncodingOptions:
    """What a method learns from, beside latents, texts and colours."""

    encoder: str = "tokens"  # of the references: a row of encoders.ENCODERS
    reference: str = "swatch"  # or 'self_crop', 'other_view', see Method.reference
    variants: int = 1  # crops and holes a sample
    color_jitter: float = 0.0  # of crops; a swatch is its colour
    holes: bool = False  # random holes in the wall, beside the whole wall
    detail: bool = False  # the wall's texture, see references.detail_map
    repainted: int = 0  # classical repaints in the blank's place, each from another picture or misread another way
    shown: str = ""  # which one, see Method.shown


@dataclass(frozen=True)
class View:
    """A sample, perhaps mirrored, the hashes of its files and its working size."""

    sample: Sample
    mirrored: bool
    photo_key: str
    mask_key: str
    size: Size

    @property
    def key(self) -> str:
        """What its pixels depend on, beside the working size."""
        return f"{self.photo_key} {self.mask_key} {self.mirrored}"

    @property
    def outlook(self) -> tuple[str, str, bool]:
        """What is alike in pictures of one wall from one place, whatever its paint."""
        return self.sample.room_id, self.mask_key, self.mirrored

    def open(self) -> tuple[Image.Image, Image.Image]:
        """The photo, RGB, and its mask, 'L'."""
        photo, mask = self.sample.load()
        return (ImageOps.mirror(photo), ImageOps.mirror(mask)) if self.mirrored else (photo, mask)

    def read(self, models: Models) -> tuple[Image.Image, dict[str, torch.Tensor]]:
        """The photo at working size, and what `prepare_picture` makes of it."""
        photo, mask = self.open()
        picture = prepare_picture(photo, mask, self.size, models.family.mask_growth, models.latent_factor)
        return photo.resize(self.size, Image.Resampling.LANCZOS), picture


def list_views(
    samples: list[Sample], files: FileIndex, sizes: dict[Size, Size], flip: bool = False, workers: int = 2
) -> list[View]:
    """Every sample, and with `flip` its mirror image after it; so many `workers` hash what is not known of the files.

    `sizes` has the working size of every photo's, see `buckets.working_sizes`.
    """
    files.hash_all((path for sample in samples for path in (sample.image, sample.mask)), workers)
    views = []
    for sample in samples:
        keys = files.digest(sample.image), files.digest(sample.mask)
        size = sizes[files.size(sample.image)]
        views += [View(sample, mirrored, *keys, size) for mirrored in ((False, True) if flip else (False,))]
    return views
