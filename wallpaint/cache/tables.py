"""Tables of what encoders say of texts and references; a sample keeps its places in them."""

from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image

from wallpaint.cache.mapped import Mapped, Rows
from wallpaint.cache.references import cut_reference, draw_hole
from wallpaint.cache.shards import Shelf, content_hash
from wallpaint.cache.views import View, Wanted
from wallpaint.models.bundle import Models
from wallpaint.models.encoders import encode_images, encoder_key, reference_side
from wallpaint.models.texts import encode_text
from wallpaint.pixels.color import Swatch


def text_table(models: Models, shelf: Shelf, texts: set[str]) -> tuple[dict[str | None, int], dict[str, Mapped]]:
    """Texts' rows, no text first, and what is said: `embeds` (P, L, D) and, of two encoders, `pooled`."""
    rows = [models.no_text, *sorted(texts - {models.no_text})]

    def encode(picked: list[int]) -> Rows:
        said = encode_text(models, [rows[i] for i in picked])
        return {
            name.removeprefix("prompt_").removesuffix("_embeds"): value.to(kept_dtype(models))
            for name, value in said.items()
        }

    keys = ["zeros" if text is None else content_hash(text) for text in rows]
    return {text: i for i, text in enumerate(rows)}, shelf.rows("text", keys, encode, 16)


def reference_table(
    models: Models, shelf: Shelf, views: list[View], wanted: Wanted, workers: int
) -> tuple[Mapped, torch.Tensor]:
    """A table (R, T, E) of references, the null image first, and each view's places in it, (N, variants)."""
    reads, kind = wanted.reads, f"{wanted.reads}-{encoder_key(models, wanted.reads)}"
    side = reference_side(models, reads)

    def say(images: list[Image.Image | None]) -> torch.Tensor:
        return encode_images(models, reads, images).to(kept_dtype(models))

    def swatches(picked: list[int]) -> Rows:
        return {"embeds": say([c and Swatch(c).image(side) for c in (colors[i] for i in picked)])}

    paints = {view.sample.color for view in views} if wanted.reference == "swatch" else set()
    colors: list[tuple[int, int, int] | None] = [None, *sorted(paints)]
    plain = shelf.rows(kind, [content_hash(str(color)) for color in colors], swatches, 16)["embeds"]
    if wanted.reference == "swatch":
        number = {color: i for i, color in enumerate(colors)}
        return plain, torch.tensor([[number[view.sample.color]] for view in views])

    sources = _sources(views, wanted)

    def crops(picked: list[int]) -> list[Image.Image | None]:
        with ThreadPoolExecutor(workers) as pool:
            read = list(pool.map(lambda source: source.read(models), [s for i in picked for s in sources[i]]))
        keys = [(source.key, k) for i in picked for k, source in enumerate(sources[i])]
        return [
            cut_reference(photo, draw_hole(picture["wall"], *key), side, wanted.color_jitter, *key)
            for (photo, picture), key in zip(read, keys, strict=True)
        ]

    def say_crops(images: list[Image.Image | None]) -> Rows:
        return {"embeds": say(images).unflatten(0, (-1, wanted.variants))}

    keys = [content_hash(f"{[s.key for s in row]} {wanted.color_jitter}") for row in sources]
    table = shelf.rows(f"crops-{wanted.variants}-{kind}", keys, say_crops, 4, crops)["embeds"]
    places = 1 + torch.arange(len(views) * wanted.variants).view(len(views), wanted.variants)
    return plain.then(table.split()), places


def _sources(views: list[View], wanted: Wanted) -> list[list[View]]:
    """What each view's references are cut from: its own wall, or that wall in the room's other pictures.

    Another picture counts only where the wall has the same paint in it.
    """
    walls: dict[tuple, list[View]] = {}
    for view in views:
        walls.setdefault((view.sample.room_id, view.sample.color, view.mirrored), []).append(view)
    sources = []
    for view in views:
        same = walls[view.sample.room_id, view.sample.color, view.mirrored]
        others = [other for other in same if other.mask_key != view.mask_key]
        found = others if others and wanted.reference == "other_view" else [view]
        sources.append([found[k % len(found)] for k in range(wanted.variants)])
    return sources


def kept_dtype(models: Models) -> torch.dtype:
    """Of what is kept: half precision where the models themselves have no more."""
    return torch.float16 if models.runtime.weight_dtype != torch.float32 else torch.float32
