"""Batches: what a training step needs, drawn from encoded samples as a function of (seed, number) alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from wallpaint.cache.buckets import choose_rows
from wallpaint.cache.draws import Draws
from wallpaint.cache.mapped import Group, Mapped
from wallpaint.models.bundle import send

WALLS_MEASURED = 256  # about so many of a large dataset tell how large its walls are


@dataclass(frozen=True)
class Batch:
    """What a step needs, on one device; B samples of one shape."""

    latents: torch.Tensor  # (B, 4, h, w) float32, scaled; a fresh draw from the encoder's distribution
    masked_image_latents: torch.Tensor  # (B, 4, h, w) float32, scaled
    mask: torch.Tensor  # (B, 1, h, w) 0 or 1, max-pooled from the grown mask
    wall: torch.Tensor  # (B, 1, H, W) 0 or 1, the mask itself at working size; in training uint8
    color: torch.Tensor  # (B, 3) sRGB, 0 to 1
    prompt_embeds: torch.Tensor  # (B, L, D)
    image_embeds: torch.Tensor  # (B, T, E) of the reference, by a row of encoders.ENCODERS
    has_reference: torch.Tensor | None = None  # (B,) bool: else the null image stands in its place
    detail: torch.Tensor | None = None  # (B, 3, H, W) -1 to 1, the wall's texture, where a method asks for it
    pooled_embeds: torch.Tensor | None = None  # (B, P) of the whole prompt, for a family with two text encoders

    def map(self, function: Callable[..., torch.Tensor], *others: "Batch") -> "Batch":
        """`function` over every tensor of this batch and the others; what is None stays None."""
        every = zip(*(vars(batch).values() for batch in (self, *others)), strict=True)
        return Batch(*(None if tensors[0] is None else function(*tensors) for tensors in every))

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`, copied there asynchronously."""
        return self.map(lambda tensor: send(tensor, device))

    def pick(self, rows: torch.Tensor) -> "Batch":
        """Some of its samples, by a boolean (B,) or by indices."""
        return self.map(lambda tensor: tensor[rows])


@dataclass(frozen=True)
class Encoded:
    """Encoded samples, grouped by working size; row 0 of the tables is the empty prompt and the null image.

    What is large stays in files, see `Mapped`; color, prompt and reference of each row are in memory.
    """

    # latents_mean, latents_std, masked_mean, masked_std, mask, wall, color, prompt, reference (n, variants);
    # where a method needs them hole_masked_mean, hole_masked_std, hole_mask, hole_wall, each (n, variants, …),
    # detail, and repainted_masked_mean, repainted_masked_std (n, repaints, …)
    groups: list[Group]
    prompts: Mapped  # (P, L, D)
    references: Mapped  # (R, T, E)
    new_rows: int  # that were not found in the cache
    pooled: Mapped | None = None  # (P, Q) of the prompts, for a family with two text encoders

    def __len__(self) -> int:
        return sum(len(group["color"]) for group in self.groups)

    def wall_shares(self) -> torch.Tensor:
        """How much of its picture a wall takes, 0 to 1, in all samples or in some hundreds of many: (n,)."""
        walls = [group["wall"][:: -(-len(self) // WALLS_MEASURED)] for group in self.groups]
        return torch.cat([wall.sum(dim=(1, 2, 3)) / wall[0].numel() for wall in walls])


@dataclass(frozen=True)
class BatchSettings:
    """How the batches of a run are drawn."""

    seed: int
    size: int  # samples a whole batch, of all processes together
    image_drop: float = 0.0  # shares trained without the reference, without text, without both
    text_drop: float = 0.0
    both_drop: float = 0.0
    holes: float = 0.0  # share with a random hole in the wall, where such are encoded


def draw_batch(encoded: Encoded, draws: Draws, number: int, settings: BatchSettings, first: int = 0) -> Batch:
    """Batch `number` of a run, or a process's share of it; a function of (seed, number) alone; on the CPU.

    There is one of `draws` for each sample wanted; `first` is the place of the first of them in the batch.
    """
    sizes = [len(group["color"]) for group in encoded.groups]
    bucket, rows = choose_rows(sizes, number, settings.seed, settings.size)
    no_image, no_text = draw_dropout(draws, settings)
    rows = rows[first : first + len(draws)]
    return assemble(encoded, encoded.groups[bucket], rows, draws, no_image, no_text, settings.holes)


def draw_dropout(draws: Draws, settings: BatchSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """Which samples go without their reference and which without their text, each (B,) bool."""
    image, text, both = settings.image_drop, settings.text_drop, settings.both_drop
    draw = draws.rand()
    no_image = (draw < image) | ((draw >= image + text) & (draw < image + text + both))
    return no_image, (draw >= image) & (draw < image + text + both)


def assemble(
    encoded: Encoded,
    group: Group,
    rows: torch.Tensor,
    draws: Draws,
    no_image: torch.Tensor,
    no_text: torch.Tensor,
    holes: float,
) -> Batch:
    """Make a batch of `rows` (B,) of a group: choose variants and draw latents."""
    # A painted wall throws its colour on floor and ceiling. Round the hole stands the light of any of the
    # paints this view is known in, as at inference: else the answer is read there and not off the reference.
    surroundings = group["by_view"][group["first"][rows] + (draws.rand() * group["alike"][rows]).long()]
    variants = group["hole_mask" if "hole_mask" in group else "reference"].shape[1]
    variant = (draws.rand() * variants).long()
    reference = group["reference"][rows, variant % group["reference"].shape[1]]
    with_hole = draws.rand() < (holes if "hole_mask" in group else 0.0)

    def of_wall(name: str, at: torch.Tensor) -> torch.Tensor:
        """The whole wall's at these rows, or the hole's own."""
        whole = group[name][at]
        if not with_hole.any():
            return whole
        return torch.where(with_hole[:, None, None, None], group[f"hole_{name}"][rows, variant], whole)

    def sample(mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
        return mean.float() + std.float() * draws.randn(*mean.shape[1:])

    if "repainted_masked_mean" in group:
        turn = (draws.rand() * group["repainted_masked_mean"].shape[1]).long()
        shown = [group[f"repainted_masked_{end}"][rows, turn] for end in ("mean", "std")]
    else:
        shown = [of_wall(f"masked_{end}", surroundings) for end in ("mean", "std")]
    prompt = group["prompt"][rows] * ~no_text
    return Batch(
        latents=sample(group["latents_mean"][rows], group["latents_std"][rows]),
        masked_image_latents=sample(*shown),
        mask=of_wall("mask", rows).float(),
        wall=of_wall("wall", rows),
        color=group["color"][rows],
        prompt_embeds=encoded.prompts[prompt],
        image_embeds=encoded.references[reference * ~no_image],
        has_reference=~no_image,
        detail=group["detail"][surroundings].float() / 127 if "detail" in group else None,
        pooled_embeds=None if encoded.pooled is None else encoded.pooled[prompt],
    )
