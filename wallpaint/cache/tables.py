"""Tables of encoded texts and references; a sample holds its places in them."""

from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image

from wallpaint.cache.mapped import Mapped, Rows
from wallpaint.cache.references import cut_reference, draw_hole
from wallpaint.cache.shards import ShardCache, content_hash
from wallpaint.cache.views import EncodingOptions, View
from wallpaint.models.bundle import Models
from wallpaint.models.encoders import encode_images, encode_text, encoder_key, reference_side
from wallpaint.pixels.color import Swatch


def text_table(models: Models, cache: ShardCache, texts: set[str]) -> tuple[dict[str | None, int], dict[str, Mapped]]:
    """Each text's row, no text first, and the tables: `embeds` (P, L, D) and, of two encoders, `pooled`."""
    rows = [models.no_text, *sorted(texts - {models.no_text})]

    def encode(picked: list[int]) -> Rows:
        encoded = encode_text(models, [rows[i] for i in picked])
        return {
            name.removeprefix("prompt_").removesuffix("_embeds"): value.to(cache_dtype(models))
            for name, value in encoded.items()
        }

    keys = ["zeros" if text is None else content_hash(text) for text in rows]
    return {text: i for i, text in enumerate(rows)}, cache.get_or_encode("text", keys, encode, 16)


def reference_table(
    models: Models, cache: ShardCache, views: list[View], options: EncodingOptions, workers: int
) -> tuple[Mapped, torch.Tensor]:
    """A table (R, T, E) of references, the null image first, and each view's places in it, (N, variants)."""
    encoder, kind = options.encoder, f"{options.encoder}-{encoder_key(models, options.encoder)}"
    side = reference_side(models, encoder)

    def embed(images: list[Image.Image | None]) -> torch.Tensor:
        return encode_images(models, encoder, images).to(cache_dtype(models))

    def embed_swatches(picked: list[int]) -> Rows:
        return {"embeds": embed([c and Swatch(c).image(side) for c in (colors[i] for i in picked)])}

    paints = {view.sample.color for view in views} if options.reference == "swatch" else set()
    colors: list[tuple[int, int, int] | None] = [None, *sorted(paints)]
    plain = cache.get_or_encode(kind, [content_hash(str(color)) for color in colors], embed_swatches, 16)["embeds"]
    if options.reference == "swatch":
        number = {color: i for i, color in enumerate(colors)}
        return plain, torch.tensor([[number[view.sample.color]] for view in views])

    sources = _sources(views, options)

    def cut_crops(picked: list[int]) -> list[Image.Image | None]:
        with ThreadPoolExecutor(workers) as pool:
            read = list(pool.map(lambda source: source.read(models), [s for i in picked for s in sources[i]]))
        keys = [(source.key, k) for i in picked for k, source in enumerate(sources[i])]
        return [
            cut_reference(photo, draw_hole(picture["wall"], *key), side, options.color_jitter, *key)
            for (photo, picture), key in zip(read, keys, strict=True)
        ]

    def embed_crops(images: list[Image.Image | None]) -> Rows:
        return {"embeds": embed(images).unflatten(0, (-1, options.variants))}

    keys = [content_hash(f"{[(s.key, s.size) for s in row]} {options.color_jitter}") for row in sources]
    table = cache.get_or_encode(f"crops-{options.variants}-{kind}", keys, embed_crops, 4, cut_crops)["embeds"]
    places = 1 + torch.arange(len(views) * options.variants).view(len(views), options.variants)
    return plain.append(table.flatten()), places


def _sources(views: list[View], options: EncodingOptions) -> list[list[View]]:
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
        found = others if others and options.reference == "other_view" else [view]
        sources.append([found[k % len(found)] for k in range(options.variants)])
    return sources


def cache_dtype(models: Models) -> torch.dtype:
    """Of what is cached: half precision where the models themselves have no more."""
    return torch.float16 if models.runtime.weight_dtype != torch.float32 else torch.float32
