"""encode_samples: the frozen encoders run once a sample, and what they said is found again in shards.

What is random about a sample, such as the hole and the crop that a self-supervised method learns from, is
made a few times and encoded as well; every step chooses among these variants.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from wallpaint.batches import Encoded, Rows
from wallpaint.color import Swatch
from wallpaint.dataset import Sample
from wallpaint.encoders import encode_images, encoder_key, reference_side
from wallpaint.images import load_mask, load_photo, model_size, read_size
from wallpaint.latents import blank_wall, encode_pictures, prepare_picture
from wallpaint.models import Models, encode_text
from wallpaint.references import cut_reference, detail_map, draw_hole
from wallpaint.shards import Shelf, content_hash

LAYOUT = 1  # raised when what a row holds changes, so that old caches are not read


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

    def read(self, models: Models) -> tuple[Image.Image, Rows]:
        """The photo at working size, and what `prepare_picture` makes of it."""
        photo = load_photo(self.sample.image)
        mask = load_mask(self.sample.mask, photo.size)
        if self.mirrored:
            photo, mask = ImageOps.mirror(photo), ImageOps.mirror(mask)
        size = model_size(photo.size, models.family.resolution, models.family.multiple)
        picture = prepare_picture(photo, mask, size, models.family.mask_growth, models.latent_factor)
        return photo.resize(size, Image.Resampling.LANCZOS), picture


def encode_samples(
    models: Models, samples: list[Sample], cache_dir: str | Path, wanted: Wanted | None = None,
    flip: bool = False, workers: int = 2, report: Callable[[str], None] = print,
) -> Encoded:  # fmt: skip
    """Encode every sample, its text and its references, or find them in the cache.

    Args:
        models: the family.
        samples: rows of a dataset.
        cache_dir: holds a folder a fingerprint of the models.
        wanted: what the method learns from.
        flip: add every sample mirrored.
        workers: threads that read pictures.
        report: gets a line before something is encoded.
    """
    wanted = wanted or Wanted()
    shelf = Shelf(Path(cache_dir) / f"{models.fingerprint}-{LAYOUT}-{str(_dtype(models))[6:]}")
    texts: list[str] = ["", *sorted({sample.text for sample in samples} - {""})]
    prompts = shelf.rows(
        "text", [content_hash(text) for text in texts],
        lambda picked: {"embeds": encode_text(models, [texts[i] for i in picked]).to(_dtype(models))}, 16,
    )["embeds"]  # fmt: skip
    views = _list_views(samples, flip)
    references, places = _encode_references(models, shelf, views, wanted, workers)
    jobs: dict[tuple[int, int], list[int]] = {}
    for row, view in enumerate(views):
        size = model_size(read_size(view.sample.image), models.family.resolution, models.family.multiple)
        jobs.setdefault(size, []).append(row)
    groups = []
    for size, rows in sorted(jobs.items()):
        report(f"encoding or finding {len(rows)} pictures of {size[0]}x{size[1]}")
        members = [views[row] for row in rows]
        group = _encode_views(models, shelf, members, size, wanted, workers)
        group["color"] = torch.tensor([view.sample.color for view in members]) / 255
        group["prompt"] = torch.tensor([texts.index(view.sample.text) for view in members])
        group["reference"] = places[rows]
        walls = [hashlib.sha256(wall.numpy().tobytes()).digest() for wall in group["wall"]]
        rooms = [(view.sample.room_id, view.mirrored) for view in members]
        groups.append(group | _alike(list(zip(rooms, walls, strict=True))))
    return Encoded(groups, prompts, references, shelf.encoded)


def _list_views(samples: list[Sample], flip: bool) -> list[View]:
    """Every sample, and with `flip` its mirror image after it."""
    paths = {path for sample in samples for path in (sample.image, sample.mask)}
    files = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    turns = (False, True) if flip else (False,)
    return [View(s, mirrored, files[s.image], files[s.mask]) for s in samples for mirrored in turns]


def _encode_views(
    models: Models, shelf: Shelf, views: list[View], size: tuple[int, int], wanted: Wanted, workers: int
) -> Rows:
    """The pictures of views at one working size, and what else is wanted of them."""
    growth, at = models.family.mask_growth, f"{size[0]}x{size[1]}"

    def latents(view: View) -> Rows:
        return view.read(models)[1]

    def holes(view: View) -> Rows:
        picture = view.read(models)[1]
        drawn = [draw_hole(picture["wall"], view.key, k) for k in range(wanted.variants)]
        blanked = [blank_wall(picture["image"], hole, growth, models.latent_factor) for hole in drawn]
        return {name: torch.cat([b[name] for b in blanked])[None] for name in blanked[0]}

    def detail(view: View) -> Rows:
        picture = view.read(models)[1]
        texture = detail_map(picture["image"] / 2 + 0.5, picture["wall"], growth)
        return {"detail": (127 * texture).round().to(torch.int8)}

    def encode(make: Callable[[View], Rows], prefix: str) -> Callable[[list[int]], Rows]:
        def encode_picked(picked: list[int]) -> Rows:
            with ThreadPoolExecutor(workers) as pool:
                made = list(pool.map(make, [views[i] for i in picked]))
            rows = {name: torch.cat([m[name] for m in made]) for name in made[0]}
            return {prefix + name: value for name, value in _to_latents(models, rows).items()}

        return encode_picked

    keys = [content_hash(f"{v.photo_key} {v.mask_key} {growth} {v.mirrored}") for v in views]
    rows = shelf.rows(f"latents-{at}", keys, encode(latents, ""), 8)
    if wanted.holes:
        rows |= shelf.rows(f"holes-{wanted.variants}-{at}", keys, encode(holes, "hole_"), 4)
    if wanted.detail:
        rows |= shelf.rows(f"detail-{at}", keys, encode(detail, ""), 8)
    return rows


def _to_latents(models: Models, rows: Rows) -> Rows:
    """Pictures (N, 3, H, W) or (N, K, 3, H, W) to means and deviations of latents, masks to bytes."""
    out: Rows = {}
    for name, value in rows.items():
        if name in ("image", "masked_image"):
            stem = {"image": "latents", "masked_image": "masked"}[name]
            for end, part in zip(("mean", "std"), encode_pictures(models, value.flatten(0, -4)), strict=True):
                out[f"{stem}_{end}"] = part.unflatten(0, value.shape[:-3]).to(_dtype(models))
        else:
            out[name] = value.to(torch.uint8) if name in ("mask", "wall") else value
    return out


def _encode_references(
    models: Models, shelf: Shelf, views: list[View], wanted: Wanted, workers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A table (R, T, E) of references, the null image first, and each view's places in it, (N, variants)."""
    reads, kind = wanted.reads, f"{wanted.reads}-{encoder_key(models, wanted.reads)}"
    side = reference_side(models, reads)

    def say(images: list[Image.Image | None]) -> torch.Tensor:
        return encode_images(models, reads, images).to(_dtype(models))

    colors: list[tuple[int, int, int] | None] = [None]
    if wanted.reference == "swatch":
        colors += sorted({view.sample.color for view in views})
    swatches = shelf.rows(
        kind, [content_hash(str(color)) for color in colors],
        lambda picked: {"embeds": say([c and Swatch(c).image(side) for c in map(colors.__getitem__, picked)])},
        16,
    )["embeds"]  # fmt: skip
    if wanted.reference == "swatch":
        return swatches, torch.tensor([[colors.index(view.sample.color)] for view in views])

    numbers = range(wanted.variants)
    sources = [_sources(view, views, wanted) for view in views]

    def crops(picked: list[int]) -> Rows:
        with ThreadPoolExecutor(workers) as pool:
            read = list(pool.map(lambda source: source.read(models), [s for i in picked for s in sources[i]]))
        keys = [(source.key, k) for i in picked for k, source in enumerate(sources[i])]
        images: list[Image.Image | None] = [
            cut_reference(photo, draw_hole(picture["wall"], *key), side, wanted.color_jitter, *key)
            for (photo, picture), key in zip(read, keys, strict=True)
        ]
        return {"embeds": say(images).unflatten(0, (len(picked), wanted.variants))}

    keys = [content_hash(f"{[s.key for s in row]} {wanted.color_jitter}") for row in sources]
    table = shelf.rows(f"crops-{wanted.variants}-{kind}", keys, crops, 4)["embeds"]
    places = 1 + torch.arange(len(views) * wanted.variants).view(len(views), len(numbers))
    return torch.cat([swatches, table.flatten(0, 1)]), places


def _sources(view: View, views: list[View], wanted: Wanted) -> list[View]:
    """What a view's references are cut from: its own wall, or the same wall in the room's other pictures.

    Another picture counts only where the wall has the same paint in it.
    """
    others = [
        other
        for other in views
        if wanted.reference == "other_view"
        and (other.sample.room_id, other.sample.color) == (view.sample.room_id, view.sample.color)
        and (other.mirrored == view.mirrored and other.mask_key != view.mask_key)
    ]
    found = others or [view]
    return [found[k % len(found)] for k in range(wanted.variants)]


def _alike(views: list[tuple]) -> Rows:
    """Which rows show the same view: row i's are by_view[first[i] : first[i] + alike[i]]."""
    number = {view: i for i, view in enumerate(dict.fromkeys(views))}
    view = torch.tensor([number[v] for v in views])
    count = torch.bincount(view)
    first = count.cumsum(0) - count
    return {"by_view": view.argsort(stable=True), "first": first[view], "alike": count[view]}


def _dtype(models: Models) -> torch.dtype:
    """Of what is kept: half precision where the models themselves have no more."""
    return torch.float16 if models.runtime.weight_dtype != torch.float32 else torch.float32
