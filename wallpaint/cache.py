"""encode_samples: the frozen encoders run once, and what they said is kept by content hash.

A shard is a safetensors file with up to SHARD rows of one kind and shape, stacked, and their keys in its
header. A row's key is the hash of what went in, so a changed picture, mask or text is encoded anew and the
rest is found again.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import save_file

from wallpaint.color import Swatch
from wallpaint.dataset import Sample
from wallpaint.draws import Draws, step_generator
from wallpaint.images import atomic_path, load_mask, load_photo, model_size, read_size, to_tensor
from wallpaint.models import Models, encode_references, encode_text

SHARD = 1024
LAYOUT = 1  # raised when what a row holds changes, so that old caches are not read
Rows = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Batch:
    """What a step needs, on one device; B samples of one shape."""

    latents: torch.Tensor  # (B, 4, h, w) float32, scaled; a fresh draw from the encoder's distribution
    masked_image_latents: torch.Tensor  # (B, 4, h, w) float32, scaled
    mask: torch.Tensor  # (B, 1, h, w) 0 or 1, max-pooled from the grown mask
    wall: torch.Tensor  # (B, 1, H, W) 0 or 1, the mask itself at working size
    color: torch.Tensor  # (B, 3) sRGB, 0 to 1
    prompt_embeds: torch.Tensor  # (B, L, D)
    image_embeds: (
        torch.Tensor
    )  # (B, T, E) tokens of the frozen adapter, or (B, S, D) states for one that learns

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`, on its way there without waiting for it."""
        return replace(self, **{f.name: send(getattr(self, f.name), device) for f in fields(self)})

    def pick(self, rows: torch.Tensor) -> "Batch":
        """Some of its samples, by a boolean (B,) or by indices."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class Encoded:
    """Encoded samples in memory, by shape; row 0 of the tables is the empty prompt and the null image."""

    groups: list[
        Rows
    ]  # latents_mean, latents_std, masked_mean, masked_std, mask, wall, color, prompt, reference
    prompts: torch.Tensor  # (P, L, D)
    references: torch.Tensor  # (R, T, E) or (R, S, D)
    encoded: int  # rows that were not found in the cache

    def __len__(self) -> int:
        return sum(len(group["color"]) for group in self.groups)


def prepare_picture(
    photo: Image.Image, mask: Image.Image, size: tuple[int, int], growth: int, factor: int
) -> Rows:
    """A photo and its mask as the encoders take them; used for training and painting alike.

    Args:
        photo: RGB.
        mask: 'L', 255 = repaint, of the photo's size.
        size: (width, height) to work at.
        growth: pixels, at that size, by which the mask grows before the old wall is blanked.
        factor: pixels a latent, a side.

    Returns:
        `image` and `masked_image` (1, 3, H, W) in -1 to 1 (blank is 0, as the stock inpainting pipeline
        blanks), `wall` (1, 1, H, W) and `mask` (1, 1, h, w), 0 or 1. The mask goes to latents by maximum,
        never by average.
    """
    image = to_tensor(photo.resize(size, Image.Resampling.LANCZOS)) * 2 - 1
    wall = (to_tensor(mask.resize(size, Image.Resampling.BOX)) >= 0.5).float()
    if not wall.any():  # a wall thinner than a pixel at this size
        wall = (to_tensor(mask.resize(size, Image.Resampling.BOX)) > 0).float()
    grown = F.max_pool2d(wall, 2 * growth + 1, 1, growth)
    return {
        "image": image,
        "masked_image": image * (grown < 0.5),
        "wall": wall,
        "mask": F.max_pool2d(grown, factor),
    }


def encode_pictures(models: Models, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, H, W) in -1 to 1 to the scaled mean and deviation of their latents (B, 4, h, w)."""
    shift, scale = models.vae.config.shift_factor or 0.0, models.vae.config.scaling_factor
    with torch.no_grad():
        posterior = models.vae.encode(pictures.to(models.runtime.device)).latent_dist
    return (posterior.mean - shift) * scale, posterior.std * scale


def decode_latents(models: Models, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents (B, 4, h, w) to pictures (B, 3, H, W), about 0 to 1 and not clamped, with gradient."""
    shift, scale = models.vae.config.shift_factor or 0.0, models.vae.config.scaling_factor
    return models.vae.decode(latents.float() / scale + shift).sample / 2 + 0.5


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


def draw_batch(
    encoded: Encoded, draws: Draws, number: int, seed: int, size: int,
    drops: tuple[float, float, float] = (0.0, 0.0, 0.0), first: int = 0,
) -> Batch:  # fmt: skip
    """Batch `number` of a run, or a process's share of it; a function of (seed, number) alone; on the CPU.

    Args:
        encoded: the samples.
        draws: of the samples wanted, for the latents and the dropout.
        number: counts batches from 0; every epoch goes through all samples once, in batches of one shape.
        seed: orders the epochs.
        size: samples a whole batch; a group's last batch is filled up from its start.
        drops: shares trained without image, without text, without both.
        first: place in the batch of the first sample wanted.
    """
    sizes = [len(group["color"]) for group in encoded.groups]
    plan = [(g, b) for g, rows in enumerate(sizes) for b in range(-(-rows // size))]
    epoch, place = divmod(number, len(plan))
    order = step_generator(seed, epoch)
    g, b = plan[int(torch.randperm(len(plan), generator=order)[place])]
    rows = torch.randperm(sizes[g], generator=step_generator(seed, epoch, g))
    rows = rows[torch.arange(b * size + first, b * size + first + len(draws)) % sizes[g]]
    group = encoded.groups[g]
    draw = draws.rand()
    image, text, both = drops
    no_image = (draw < image) | ((draw >= image + text) & (draw < image + text + both))
    no_text = (draw >= image) & (draw < image + text + both)

    # A painted wall throws its colour on floor and ceiling. Round the hole stands the light of any of the
    # paints this view is known in, as at inference: else the answer is read there and not off the reference.
    place = group["first"][rows] + (draws.rand() * group["alike"][rows]).long()

    def sampled(name: str, rows: torch.Tensor) -> torch.Tensor:
        mean, std = group[f"{name}_mean"][rows].float(), group[f"{name}_std"][rows].float()
        return mean + std * draws.randn(*mean.shape[1:])

    return Batch(
        latents=sampled("latents", rows),
        masked_image_latents=sampled("masked", group["by_view"][place]),
        mask=group["mask"][rows].float(),
        wall=group["wall"][rows].float(),
        color=group["color"][rows],
        prompt_embeds=encoded.prompts[group["prompt"][rows] * ~no_text],
        image_embeds=encoded.references[group["reference"][rows] * ~no_image],
    )


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
