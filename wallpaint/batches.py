"""Batches: what a training step needs, drawn from encoded samples as a function of (seed, number) alone."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import torch

from wallpaint.draws import Draws, step_generator
from wallpaint.models import send

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


@lru_cache(maxsize=64)
def _order(count: int, *numbers: int) -> torch.Tensor:
    """A permutation, a function of `numbers`; kept, since one of a million takes as long as a small step."""
    return torch.randperm(count, generator=step_generator(*numbers))
