"""Stage `sam`: a small segment-anything for walls, from clicks and boxes, trained through its submodules."""

from dataclasses import dataclass
from pathlib import Path

import torch
from segment_anything.modeling import Sam
from torch.nn import functional as F

from wallpaint.tiny import sizes
from wallpaint.tiny.build import build_sam
from wallpaint.tiny.data import Pool, chance, draw
from wallpaint.tiny.loop import Fit, fit, load_result

BATCH = 8
PROMPTS = 3  # prompts a picture: the image encoder runs once for all of them
OFF_WALL_SHARE = 0.1  # clicks on something else, whose answer is "not the wall"


@dataclass(frozen=True)
class Prompt:
    """Clicks (or a box) in pixels of the picture, and the mask they ask for."""

    points: torch.Tensor  # (N, 2) x, y
    labels: torch.Tensor  # (N,) 1 = inside, 0 = outside
    box: torch.Tensor | None  # (4,) x0, y0, x1, y1
    target: torch.Tensor  # (R, R) bool


def train_sam(pool: Pool, work: Path, minutes: float) -> None:
    """All of it from scratch."""
    torch.manual_seed(4)
    sam = build_sam(sizes.SAM).train()
    held_out = pool.only_held_out(24)
    count = 0

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        nonlocal count
        count += 1
        if count % 300 == 0:
            pool.refresh()
        return sam_losses(sam, *sam_batch(pool, generator))

    fit("sam", [sam], step, Fit(minutes, 1e-3, warmup_steps=100), work, lambda: sam_figures(sam, held_out))


def load_sam(work: Path) -> Sam:
    """The trained model, for inference."""
    sam = build_sam(sizes.SAM)
    load_result(work, "sam", [sam])
    return sam.eval()


def sam_batch(pool: Pool, generator: torch.Generator) -> tuple[torch.Tensor, list[list[Prompt]]]:
    """(BATCH, 3, R, R) pixels 0-255 and PROMPTS prompts for each."""
    pictures: list[torch.Tensor] = []
    prompts: list[list[Prompt]] = []
    while len(pictures) < BATCH:
        view = pool.views[pool.pick(generator)]
        picture, wall = view.pictures[draw(generator, len(view.pictures))].float(), view.mask[0]
        if not 0.02 < wall.float().mean() < 0.98:
            continue
        if chance(generator) < 0.5:
            picture, wall = picture.flip(-1), wall.flip(-1)
        pictures.append(picture)
        prompts.append([draw_prompt(wall, generator) for _ in range(PROMPTS)])
    return torch.stack(pictures), prompts


def draw_prompt(wall: torch.Tensor, generator: torch.Generator) -> Prompt:
    """One to three clicks, at times with a box around the wall, or one click off the wall."""
    if chance(generator) < OFF_WALL_SHARE:
        return Prompt(clicks(~wall, 1, generator), torch.ones(1), None, ~wall)
    inside, outside = 1 + draw(generator, 3), draw(generator, 2)
    points = torch.cat([clicks(wall, inside, generator), clicks(~wall, outside, generator)])
    labels = torch.cat([torch.ones(inside), torch.zeros(outside)])
    box = None
    if chance(generator) < 0.2:
        y, x = wall.nonzero().unbind(1)
        box = torch.stack([x.min(), y.min(), x.max(), y.max()]).float()
        box = box + 4 * torch.randn(4, generator=generator)
        if chance(generator) < 0.5:
            points, labels = points[:0], labels[:0]
    return Prompt(points, labels, box, wall)


def clicks(area: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """(count, 2) x, y of random pixels in `area`, a little away from its rim where it can be."""
    core = -F.max_pool2d(-area.float()[None, None], 5, 1, 2)[0, 0] > 0.5
    places = (core if core.any() else area).nonzero()
    chosen = places[torch.randint(len(places), (count,), generator=generator)]
    return chosen.flip(1).float() + 0.5


def predict(sam: Sam, features: torch.Tensor, prompt: Prompt, multimask: bool = True) -> tuple:
    """Low-resolution logits (M, 32, 32) and IoU guesses (M,) for one picture's features (1, C, 16, 16)."""
    points = (prompt.points[None], prompt.labels[None]) if len(prompt.points) else None
    box = None if prompt.box is None else prompt.box[None]
    sparse, dense = sam.prompt_encoder(points=points, boxes=box, masks=None)
    logits, guesses = sam.mask_decoder(features, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask)
    return logits[0], guesses[0]


def sam_losses(sam: Sam, pictures: torch.Tensor, prompts: list[list[Prompt]]) -> dict[str, torch.Tensor]:
    """Focal + dice on the best of the masks, and the IoU head's error (Kirillov et al. 2023, appendix A)."""
    features = sam.image_encoder((pictures - sam.pixel_mean) / sam.pixel_std)
    masks, ious = [], []
    for row, feature in zip(prompts, features, strict=True):
        for number, prompt in enumerate(row):
            logits, guesses = predict(sam, feature[None], prompt, multimask=number > 0)
            truth = prompt.target[None].expand(len(logits), -1, -1)
            logits = F.interpolate(logits[None], size=truth.shape[-2:], mode="bilinear")[0]
            loss = 10 * focal(logits, truth) + dice(logits, truth)
            with torch.no_grad():
                iou = intersection_over_union(logits > 0, truth)
            masks.append(loss.min())
            ious.append((guesses - iou).square().mean())
    return {"mask": torch.stack(masks).mean(), "iou": torch.stack(ious).mean()}


def focal(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(M,) focal loss with gamma 2."""
    error = F.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none")
    return (error * (1 - torch.exp(-error)) ** 2).mean((1, 2))


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(M,) dice loss."""
    p = logits.sigmoid()
    return 1 - (2 * (p * truth).sum((1, 2)) + 1) / (p.sum((1, 2)) + truth.sum((1, 2)) + 1)


def intersection_over_union(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(M,) IoU of boolean masks."""
    return (guess & truth).sum((1, 2)) / (guess | truth).sum((1, 2)).clamp_min(1)


def sam_figures(sam: Sam, pool: Pool, per_view: int = 2) -> dict[str, float]:
    """Wall IoU on held-out rooms of the mask that the IoU head likes best, from one click and from three."""
    generator = torch.Generator().manual_seed(0)
    scores: dict[int, list[float]] = {1: [], 3: []}
    with torch.no_grad():
        for view in pool.views:
            wall = view.mask[0]
            if not wall.any():
                continue
            for picture in view.pictures[:per_view].float():
                features = sam.image_encoder((picture[None] - sam.pixel_mean) / sam.pixel_std)
                for count, values in scores.items():
                    prompt = Prompt(clicks(wall, count, generator), torch.ones(count), None, wall)
                    logits, guesses = predict(sam, features, prompt)
                    best = F.interpolate(
                        logits[None, guesses.argmax()][None], size=wall.shape, mode="bilinear"
                    )[0]
                    values.append(float(intersection_over_union(best > 0, wall[None])))
    return {f"wall_iou_{count}_clicks": sum(v) / max(1, len(v)) for count, v in scores.items()}
