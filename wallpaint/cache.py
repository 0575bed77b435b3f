"""encode_samples: the frozen encoders run once, and what they said is kept by content hash.

A shard is a safetensors file with up to SHARD rows of one kind and shape, stacked, and their keys in its
header. A row's key is the hash of what went in, so a changed picture, mask or text is encoded anew and the
rest is found again.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import ImageOps
from safetensors import safe_open
from safetensors.torch import save_file

from wallpaint.batches import Encoded, Rows
from wallpaint.color import Swatch
from wallpaint.dataset import Sample
from wallpaint.images import atomic_path, load_mask, load_photo, model_size, read_size
from wallpaint.latents import encode_pictures, prepare_picture
from wallpaint.models import Models, encode_references, encode_text

SHARD = 1024
LAYOUT = 1  # raised when what a row holds changes, so that old caches are not read


def encode_samples(
    models: Models, samples: list[Sample], cache_dir: str | Path, states: bool = False, flip: bool = False,
    workers: int = 2, report: Callable[[str], None] = print,
) -> Encoded:  # fmt: skip
    """Encode every sample, its text and its swatch, or find them in the cache.

    Args:
        models: the family.
        samples: rows of a dataset.
        cache_dir: holds a folder a fingerprint of the models.
        states: keep the image encoder's states (for an adapter that learns), not the adapter's tokens.
        flip: add every sample mirrored.
        workers: threads that read pictures.
        report: gets a line before something is encoded.
    """
    dtype = torch.float16 if models.runtime.weight_dtype != torch.float32 else torch.float32
    folder = Path(cache_dir) / f"{models.fingerprint}-{LAYOUT}-{str(dtype).removeprefix('torch.')}"
    count = [0]

    def table(kind: str, keys: list, encode: Callable) -> torch.Tensor:
        rows = _cached(folder, kind, [_hash(str(key)) for key in keys], encode, 16, count)
        return rows["embeds"]

    texts: list[str] = ["", *sorted({sample.text for sample in samples} - {""})]
    colors: list[tuple[int, int, int] | None] = [None, *sorted({sample.color for sample in samples})]
    project = (lambda x: x) if states else models.image_proj

    def encode_swatches(picked: list[int]) -> Rows:
        size = models.image_encoder.config.image_size
        wanted = [colors[i] for i in picked]
        images = [None if color is None else Swatch(color).image(size) for color in wanted]
        with torch.no_grad():
            return {"embeds": project(encode_references(models, images)).to(dtype)}

    prompts = table(
        "text", texts, lambda picked: {"embeds": encode_text(models, [texts[i] for i in picked]).to(dtype)}
    )
    references = table("states" if states else "tokens", colors, encode_swatches)
    jobs: dict[tuple[int, int], list[tuple[Sample, bool]]] = {}
    for sample in samples:
        size = model_size(read_size(sample.image), models.family.resolution, models.family.multiple)
        jobs.setdefault(size, []).extend(
            (sample, mirrored) for mirrored in ((False, True) if flip else (False,))
        )
    groups = []
    for size, rows in sorted(jobs.items()):
        report(f"encoding or finding {len(rows)} pictures of {size[0]}x{size[1]}")
        group = _latents(models, rows, size, folder, dtype, workers, count)
        group["color"] = torch.tensor([sample.color for sample, _ in rows]) / 255
        group["prompt"] = torch.tensor([texts.index(sample.text) for sample, _ in rows])
        group["reference"] = torch.tensor([colors.index(sample.color) for sample, _ in rows])
        walls = [hashlib.sha256(wall.numpy().tobytes()).digest() for wall in group["wall"]]
        views = [(sample.room_id, mirrored) for sample, mirrored in rows]
        group |= _alike(list(zip(views, walls, strict=True)))
        groups.append(group)
    return Encoded(groups, prompts, references, count[0])


def _alike(views: list[tuple]) -> Rows:
    """Which rows show the same view: row i's are by_view[first[i] : first[i] + alike[i]]."""
    number = {view: i for i, view in enumerate(dict.fromkeys(views))}
    view = torch.tensor([number[v] for v in views])
    count = torch.bincount(view)
    first = count.cumsum(0) - count
    return {"by_view": view.argsort(stable=True), "first": first[view], "alike": count[view]}


def _latents(
    models: Models, rows: list[tuple[Sample, bool]], size: tuple[int, int], folder: Path, dtype: torch.dtype,
    workers: int, count: list[int],
) -> Rows:  # fmt: skip
    """Rows of pictures and masks at one working size; a sample comes with whether it is mirrored."""
    growth = models.family.mask_growth
    files = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for s, _ in rows for path in (s.image, s.mask)
    }
    keys = [_hash(f"{files[s.image]} {files[s.mask]} {growth} {mirrored}") for s, mirrored in rows]

    def read(index: int) -> Rows:
        sample, mirrored = rows[index]
        photo = load_photo(sample.image)
        mask = load_mask(sample.mask, photo.size)
        if mirrored:
            photo, mask = ImageOps.mirror(photo), ImageOps.mirror(mask)
        return prepare_picture(photo, mask, size, growth, models.latent_factor)

    def encode(picked: list[int]) -> Rows:
        with ThreadPoolExecutor(workers) as pool:
            pictures = list(pool.map(read, picked))
        out: Rows = {
            name: torch.cat([p[name] for p in pictures]).to(torch.uint8) for name in ("mask", "wall")
        }
        for name, source in (("latents", "image"), ("masked", "masked_image")):
            mean, std = encode_pictures(models, torch.cat([p[source] for p in pictures]))
            out |= {f"{name}_mean": mean.to(dtype), f"{name}_std": std.to(dtype)}
        return out

    return _cached(folder, f"latents-{size[0]}x{size[1]}", keys, encode, 8, count)


def _cached(folder: Path, kind: str, keys: list[str], encode: Callable[[list[int]], Rows], batch: int,
            count: list[int]) -> Rows:  # fmt: skip
    """The rows of `keys`, stacked in their order; those no shard holds are encoded and kept."""
    found: dict[str, Rows] = {}
    wanted = set(keys)
    for path in sorted(folder.glob(f"{kind}--*.safetensors")):
        with safe_open(path, "pt") as shard:
            places = {k: i for i, k in enumerate(json.loads(shard.metadata()["keys"])) if k in wanted}
            tensors = {name: shard.get_tensor(name) for name in shard.keys()} if places else {}  # noqa: SIM118
        found |= {key: {name: t[i] for name, t in tensors.items()} for key, i in places.items()}
    missing = [i for i, key in enumerate(keys) if key not in found and key not in keys[:i]]
    for start in range(0, len(missing), SHARD):
        shard_rows = missing[start : start + SHARD]
        parts = [encode(shard_rows[i : i + batch]) for i in range(0, len(shard_rows), batch)]
        tensors = {name: torch.cat([part[name].cpu() for part in parts]).contiguous() for name in parts[0]}
        names = [keys[i] for i in shard_rows]
        with atomic_path(folder / f"{kind}--{_hash(' '.join(names))}.safetensors") as path:
            save_file(tensors, path, metadata={"keys": json.dumps(names)})
        found |= {key: {name: t[i] for name, t in tensors.items()} for i, key in enumerate(names)}
        count[0] += len(shard_rows)
    return {name: torch.stack([found[key][name] for key in keys]) for name in found[keys[0]]}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
