"""encode_samples: the frozen encoders run once a sample, and what they said is found again in shards.

What is random about a sample, such as the hole and the crop that a self-supervised method learns from, is
made a few times and encoded as well; every step chooses among these variants.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from wallpaint.cache.batches import Encoded
from wallpaint.cache.mapped import Group, Rows
from wallpaint.cache.references import detail_map, draw_hole
from wallpaint.cache.shards import Shelf, content_hash
from wallpaint.cache.tables import kept_dtype, reference_table, text_table
from wallpaint.cache.views import View, Wanted, list_views
from wallpaint.dataset.rows import Sample
from wallpaint.models.bundle import Models
from wallpaint.models.latents import blank_wall, encode_pictures
from wallpaint.pixels.images import model_size, read_size

LAYOUT = 1  # raised when what a row holds changes, so that old caches are not read


def encode_samples(
    models: Models,
    samples: list[Sample],
    cache_dir: str | Path,
    wanted: Wanted | None = None,
    flip: bool = False,
    workers: int = 2,
    report: Callable[[str], None] = print,
) -> Encoded:
    """Encode every sample, its text and its references, or find them in the cache.

    Args:
        models: the family.
        samples: rows of a dataset.
        cache_dir: holds a folder for each set of models.
        wanted: what the method learns from.
        flip: add every sample mirrored.
        workers: threads that read pictures.
        report: gets a line before something is encoded.
    """
    wanted = wanted or Wanted()
    shelf = open_shelf(models, cache_dir)
    texts, said = text_table(models, shelf, {sample.text for sample in samples})
    views = list_views(samples, flip)
    references, places = reference_table(models, shelf, views, wanted, workers)
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
        group["prompt"] = torch.tensor([texts[view.sample.text] for view in members])
        group["reference"] = places[rows]
        groups.append(group | _alike([(v.sample.room_id, v.mask_key, v.mirrored) for v in members]))
    return Encoded(groups, said["embeds"], references, shelf.encoded, said.get("pooled"))


def open_shelf(models: Models, cache_dir: str | Path) -> Shelf:
    """The shards that hold for these models."""
    return Shelf(Path(cache_dir) / f"{models.encoders_hash}-{LAYOUT}-{str(kept_dtype(models))[6:]}")


def _encode_views(
    models: Models, shelf: Shelf, views: list[View], size: tuple[int, int], wanted: Wanted, workers: int
) -> Group:
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

    def read(make: Callable[[View], Rows]) -> Callable[[list[int]], Rows]:
        def read_picked(picked: list[int]) -> Rows:
            with ThreadPoolExecutor(workers) as pool:
                made = list(pool.map(make, [views[i] for i in picked]))
            return {name: torch.cat([m[name] for m in made]) for name in made[0]}

        return read_picked

    def encode(rows: Rows) -> Rows:
        return _to_latents(models, rows)

    def encode_holes(rows: Rows) -> Rows:
        return {f"hole_{name}": value for name, value in encode(rows).items()}

    keys = [content_hash(f"{v.photo_key} {v.mask_key} {growth} {v.mirrored}") for v in views]
    rows: Group = {**shelf.rows(f"latents-{at}", keys, encode, 8, read(latents))}
    if wanted.holes:
        rows |= shelf.rows(f"holes-{wanted.variants}-{at}", keys, encode_holes, 4, read(holes))
    if wanted.detail:
        rows |= shelf.rows(f"detail-{at}", keys, encode, 8, read(detail))
    return rows


def _to_latents(models: Models, rows: Rows) -> Rows:
    """Pictures (N, 3, H, W) or (N, K, 3, H, W) to means and deviations of latents, masks to bytes."""
    out: Rows = {}
    for name, value in rows.items():
        if name in ("image", "masked_image"):
            stem = {"image": "latents", "masked_image": "masked"}[name]
            for end, part in zip(("mean", "std"), encode_pictures(models, value.flatten(0, -4)), strict=True):
                out[f"{stem}_{end}"] = part.unflatten(0, value.shape[:-3]).to(kept_dtype(models))
        else:
            out[name] = value.to(torch.uint8) if name in ("mask", "wall") else value
    return out


def _alike(views: list[tuple]) -> Rows:
    """Which rows show the same view: row i's are by_view[first[i] : first[i] + alike[i]]."""
    number = {view: i for i, view in enumerate(dict.fromkeys(views))}
    view = torch.tensor([number[v] for v in views])
    count = torch.bincount(view)
    first = count.cumsum(0) - count
    return {"by_view": view.argsort(stable=True), "first": first[view], "alike": count[view]}
