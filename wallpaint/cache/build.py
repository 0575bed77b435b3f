"""encode_views: the frozen encoders run once a sample, and what they computed is found again in shards.

What is random about a sample, such as the hole and the crop that a self-supervised method learns from, is
made a few times and encoded as well; every step chooses among these variants.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from wallpaint.cache.batches import Encoded
from wallpaint.cache.buckets import Size
from wallpaint.cache.mapped import Group, Rows
from wallpaint.cache.references import detail_map, draw_hole, draw_misreading
from wallpaint.cache.shards import ShardCache, content_hash, remove_leftovers
from wallpaint.cache.tables import cache_dtype, reference_table, text_table
from wallpaint.cache.views import EncodingOptions, View
from wallpaint.models.bundle import Models
from wallpaint.models.field import field_hash
from wallpaint.models.latents import blank_wall, encode_pictures, repaint_wall
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.light import light_hash
from wallpaint.pixels.recolor import Coat

LAYOUT = 2  # raised when what a row holds changes, so that old caches are not read


def encode_views(
    models: Models,
    views: list[View],
    cache_dir: str | Path,
    options: EncodingOptions,
    workers: int,
    report: Callable[[str], None],
) -> Encoded:
    """Encode every view of a dataset, its text and its references, or find them in the cache.

    `cache_dir` holds a folder for each set of models; so many `workers` read pictures; `report` gets a line before
    something is encoded.
    """
    cache = open_cache(models, cache_dir)
    texts, encoded_texts = text_table(models, cache, {view.sample.text for view in views})
    references, places = reference_table(models, cache, views, options, workers)
    buckets: dict[Size, list[int]] = {}
    for row, view in enumerate(views):
        buckets.setdefault(view.size, []).append(row)
    groups = []
    for size, rows in sorted(buckets.items()):
        report(f"encoding or finding {len(rows)} pictures of {size[0]}x{size[1]}")
        members = [views[row] for row in rows]
        group = _encode_pictures(models, cache, members, options, workers)
        group["color"] = torch.tensor([view.sample.color for view in members]) / 255
        group["prompt"] = torch.tensor([texts[view.sample.text] for view in members])
        group["reference"] = places[rows]
        groups.append(group | _same_views([view.outlook for view in members]))
    return Encoded(groups, encoded_texts["embeds"], references, cache.new_rows, encoded_texts.get("pooled"))


def open_cache(models: Models, cache_dir: str | Path) -> ShardCache:
    """The shards that hold for these models and their precision."""
    folder = Path(cache_dir) / f"{models.encoders_hash}-{LAYOUT}-{str(models.runtime.weight_dtype)[6:]}"
    remove_leftovers(folder)
    return ShardCache(folder)


def _encode_pictures(
    models: Models, cache: ShardCache, views: list[View], options: EncodingOptions, workers: int
) -> Group:
    """The pictures of views of one working size, and what else the method needs of them."""
    growth, size = models.family.mask_growth, "{}x{}".format(*views[0].size)

    def encoded(kind: str, keys: list[str], make: Callable[[View], Rows], batch: int, prefix: str = "") -> Group:
        """What `make` gives of each view, as latents, under names that begin with `prefix`."""

        def read(picked: list[int]) -> Rows:
            with ThreadPoolExecutor(workers) as pool:
                made = list(pool.map(make, [views[i] for i in picked]))
            return {name: torch.cat([m[name] for m in made]) for name in made[0]}

        def encode(rows: Rows) -> Rows:
            return {f"{prefix}{name}": value for name, value in _to_latents(models, rows).items()}

        return {**cache.get_or_encode(f"{kind}-{size}", keys, encode, batch, read)}

    keys = [content_hash(f"{v.photo_key} {v.mask_key} {growth} {v.mirrored}") for v in views]
    rows = encoded("latents", keys, lambda view: view.read(models)[1], 8)
    if options.holes:
        rows |= encoded(f"holes-{options.variants}", keys, partial(_holes, models, options.variants), 4, "hole_")
    if options.repainted:
        sources = _other_pictures(views)
        named = [
            content_hash(f"{key} {v.sample.color} {[(s.key, s.sample.color) for s in sources[v]]}")
            for key, v in zip(keys, views, strict=True)
        ]
        kind = f"{options.shown}-{options.repainted}-{light_hash()}-{field_hash()}"
        rows |= encoded(kind, named, partial(_repainted, options, sources), 4, "repainted_")
    if options.detail:
        rows |= encoded("detail", keys, partial(_detail, models), 8)
    return rows


def _holes(models: Models, variants: int, view: View) -> Rows:
    """A view with random holes in its wall, and the holes."""
    picture = view.read(models)[1]
    drawn = [draw_hole(picture["wall"], view.key, k) for k in range(variants)]
    blanked = [blank_wall(picture["image"], hole, models.family.mask_growth, models.latent_factor) for hole in drawn]
    return {name: torch.cat([b[name] for b in blanked])[None] for name in blanked[0]}


def _repainted(options: EncodingOptions, sources: dict[View, list[View]], view: View) -> Rows:
    """A view's wall repainted in its paint, by rule, from its `sources` in turn."""
    made = []
    for k in range(options.repainted):
        coat = Coat(*sources[view][k % len(sources[view])].open(), Swatch(view.sample.color))
        made.append(repaint_wall(coat, view.size, draw_misreading(view.key, k), options.shown))
    return {"masked_image": torch.cat(made)[None]}


def _detail(models: Models, view: View) -> Rows:
    """The texture of a view's wall, as bytes."""
    picture = view.read(models)[1]
    texture = detail_map(picture["image"] / 2 + 0.5, picture["wall"], models.family.mask_growth)
    return {"detail": (127 * texture).round().to(torch.int8)}


def _other_pictures(views: list[View]) -> dict[View, list[View]]:
    """By view the pictures of the same wall in other paints; itself where there is none."""
    walls: dict[tuple, list[View]] = {}
    for view in views:
        walls.setdefault(view.outlook, []).append(view)
    found = {}
    for view in views:
        found[view] = [other for other in walls[view.outlook] if other.photo_key != view.photo_key] or [view]
    return found


def _to_latents(models: Models, rows: Rows) -> Rows:
    """Pictures (N, 3, H, W) or (N, K, 3, H, W) to means and deviations of latents, masks to bytes."""
    out: Rows = {}
    for name, value in rows.items():
        if name in ("image", "masked_image"):
            stem = {"image": "latents", "masked_image": "masked"}[name]
            for end, part in zip(("mean", "std"), encode_pictures(models, value.flatten(0, -4)), strict=True):
                out[f"{stem}_{end}"] = part.unflatten(0, value.shape[:-3]).to(cache_dtype(models))
        else:
            out[name] = value.to(torch.uint8) if name in ("mask", "wall") else value
    return out


def _same_views(views: list[tuple]) -> Rows:
    """Which rows show the same view: row i's are by_view[first[i] : first[i] + alike[i]]."""
    number = {view: i for i, view in enumerate(dict.fromkeys(views))}
    view = torch.tensor([number[v] for v in views])
    count = torch.bincount(view)
    first = count.cumsum(0) - count
    return {"by_view": view.argsort(stable=True), "first": first[view], "alike": count[view]}
