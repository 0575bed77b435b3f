"""Batches: what a training step needs, drawn from encoded samples as a function of (seed, number) alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch

from wallpaint.cache.draws import Draws, step_generator
from wallpaint.cache.mapped import Group, Mapped
from wallpaint.models.bundle import send

LOOKED_AT = 256  # walls that are read to say how large they are


@dataclass(frozen=True)
class Batch:
    """What a step needs, on one device; B samples of one shape."""

    latents: torch.Tensor  # (B, 4, h, w) float32, scaled; a fresh draw from the encoder's distribution
    masked_image_latents: torch.Tensor  # (B, 4, h, w) float32, scaled
    mask: torch.Tensor  # (B, 1, h, w) 0 or 1, max-pooled from the grown mask
    wall: torch.Tensor  # (B, 1, H, W) 0 or 1, the mask itself at working size; in training uint8
    color: torch.Tensor  # (B, 3) sRGB, 0 to 1
    prompt_embeds: torch.Tensor  # (B, L, D)
    image_embeds: torch.Tensor  # (B, T, E) what an encoder says of the reference, see encoders.ENCODERS
    heard: torch.Tensor | None = None  # (B,) bool: whether there is a reference, or the null in its place
    detail: torch.Tensor | None = None  # (B, 3, H, W) -1 to 1, the wall's texture, where a method asks for it
    pooled_embeds: torch.Tensor | None = None  # (B, P) of the whole prompt, where the family says it

    def map(self, function: Callable[..., torch.Tensor], *others: "Batch") -> "Batch":
        """`function` over every tensor of this batch and the others; what is None stays None."""
        every = zip(*(vars(batch).values() for batch in (self, *others)), strict=True)
        return Batch(*(None if tensors[0] is None else function(*tensors) for tensors in every))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`, on its way there without waiting for it."""
        return self.map(lambda tensor: send(tensor, device))

    def pick(self, rows: torch.Tensor) -> "Batch":
        """Some of its samples, by a boolean (B,) or by indices."""
        return self.map(lambda tensor: tensor[rows])


@dataclass(frozen=True)
class Encoded:
    """Encoded samples, by shape; row 0 of the tables is the empty prompt and the null image.

    What is large lies in files, see `Mapped`; of a sample's row color, prompt and reference are in memory.
    """

    # latents_mean, latents_std, masked_mean, masked_std, mask, wall, color, prompt, reference (n, variants);
    # where a method asks for them hole_masked_mean, hole_masked_std, hole_mask, hole_wall, each (n, variants,
    # …), and detail
    groups: list[Group]
    prompts: Mapped  # (P, L, D)
    references: Mapped  # (R, T, E)
    encoded: int  # rows that were not found in the cache
    pooled: Mapped | None = None  # (P, Q) of the prompts, where the family says it

    def __len__(self) -> int:
        return sum(len(group["color"]) for group in self.groups)

    def wall_shares(self) -> torch.Tensor:
        """How much of its picture a wall takes, 0 to 1, in all samples or in some hundreds of many: (n,)."""
        walls = [group["wall"][:: -(-len(self) // LOOKED_AT)] for group in self.groups]
        return torch.cat([wall.sum(dim=(1, 2, 3)) / wall[0].numel() for wall in walls])


def draw_batch(
    encoded: Encoded,
    draws: Draws,
    number: int,
    seed: int,
    size: int,
    drops: tuple[float, float, float] = (0.0, 0.0, 0.0),
    first: int = 0,
    holes: float = 0.0,
) -> Batch:
    """Batch `number` of a run, or a process's share of it; a function of (seed, number) alone; on the CPU.

    Args:
        encoded: the samples.
        draws: of the samples wanted, for the latents and the dropout.
        number: counts batches from 0; every epoch goes through all samples once, in batches of one shape.
        seed: orders the epochs.
        size: samples a whole batch; a group's last batch is filled up from its start.
        drops: shares trained without image, without text, without both.
        first: place in the batch of the first sample wanted.
        holes: share with a random hole in the wall in place of the whole wall, where such are encoded.
    """
    sizes = [len(group["color"]) for group in encoded.groups]
    batches = [-(-rows // size) for rows in sizes]
    epoch, place = divmod(number, sum(batches))
    g, b = 0, int(_order(sum(batches), seed, epoch)[place])
    while b >= batches[g]:
        g, b = g + 1, b - batches[g]
    places = torch.arange(b * size + first, b * size + first + len(draws)) % sizes[g]
    rows = _order(sizes[g], seed, epoch, g)[places]
    group = encoded.groups[g]
    draw = draws.rand()
    image, text, both = drops
    no_image = (draw < image) | ((draw >= image + text) & (draw < image + text + both))
    no_text = (draw >= image) & (draw < image + text + both)

    # A painted wall throws its colour on floor and ceiling. Round the hole stands the light of any of the
    # paints this view is known in, as at inference: else the answer is read there and not off the reference.
    place = group["first"][rows] + (draws.rand() * group["alike"][rows]).long()

    seen = group["by_view"][place]
    variants = group["hole_mask" if "hole_mask" in group else "reference"].shape[1]
    variant = (draws.rand() * variants).long()
    reference = group["reference"][rows, variant % group["reference"].shape[1]]
    pierced = draws.rand() < (holes if "hole_mask" in group else 0.0)

    def wall(name: str, at: torch.Tensor) -> torch.Tensor:
        """The whole wall's at these rows, or the hole's own."""
        whole = group[name][at]
        if not pierced.any():
            return whole
        hole = group[f"hole_{name}"][rows, variant]
        return torch.where(pierced[:, None, None, None], hole, whole)

    def sampled(mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
        return mean.float() + std.float() * draws.randn(*mean.shape[1:])

    prompt = group["prompt"][rows] * ~no_text
    return Batch(
        latents=sampled(group["latents_mean"][rows], group["latents_std"][rows]),
        masked_image_latents=sampled(wall("masked_mean", seen), wall("masked_std", seen)),
        mask=wall("mask", rows).float(),
        wall=wall("wall", rows),
        color=group["color"][rows],
        prompt_embeds=encoded.prompts[prompt],
        image_embeds=encoded.references[reference * ~no_image],
        heard=~no_image,
        detail=group["detail"][seen].float() / 127 if "detail" in group else None,
        pooled_embeds=None if encoded.pooled is None else encoded.pooled[prompt],
    )


@lru_cache(maxsize=64)
def _order(count: int, *numbers: int) -> torch.Tensor:
    """A permutation, a function of `numbers`; kept, since one of a million takes as long as a small step."""
    return torch.randperm(count, generator=step_generator(*numbers))
