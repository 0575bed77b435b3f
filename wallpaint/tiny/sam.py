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
BOX_SHARE = 0.2
OFF_WALL_SHARE = 0.08  # clicks on something else, whose answer is "not the wall"


@dataclass(frozen=True)
class Prompts:
    """Some prompts for one picture, in pixels of it, and the masks that they ask for."""

    points: torch.Tensor  # (P, N, 2) x, y
    labels: torch.Tensor  # (P, N) 1 = inside, 0 = outside, -1 = no click
    boxes: torch.Tensor | None  # (P, 4) x0, y0, x1, y1
    targets: torch.Tensor  # (P, R, R) bool


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

    fit(
        "sam",
        [sam],
        step,
        Fit(minutes, 1e-3, warmup_steps=30, ema=0.98),
        work,
        lambda: sam_figures(sam, held_out),
    )


def load_sam(work: Path) -> Sam:
    """The trained model, for inference."""
    sam = build_sam(sizes.SAM)
    load_result(work, "sam", [sam])
    return sam.eval()


def sam_batch(pool: Pool, generator: torch.Generator) -> tuple[torch.Tensor, list[Prompts]]:
    """(BATCH, 3, R, R) pixels 0-255 and PROMPTS prompts for each."""
    pictures: list[torch.Tensor] = []
    prompts: list[Prompts] = []
    while len(pictures) < BATCH:
        view = pool.views[pool.pick(generator)]
        picture, wall = view.pictures[draw(generator, len(view.pictures))].float(), view.mask[0]
        if not 0.02 < wall.float().mean() < 0.98:
            continue
        if chance(generator) < 0.5:
            picture, wall = picture.flip(-1), wall.flip(-1)
        pictures.append(picture)
        prompts.append(draw_prompts(wall, generator))
    return torch.stack(pictures), prompts


def draw_prompts(wall: torch.Tensor, generator: torch.Generator) -> Prompts:
    """One to three clicks, at times one off the wall, at times a box; or one click on something else."""
    boxed = chance(generator) < BOX_SHARE
    points, labels = torch.zeros(PROMPTS, 4, 2), -torch.ones(PROMPTS, 4)
    targets = wall.repeat(PROMPTS, 1, 1)
    for row in range(PROMPTS):
        if not boxed and chance(generator) < OFF_WALL_SHARE:
            points[row, :1], labels[row, 0], targets[row] = clicks(~wall, 1, generator), 1, ~wall
            continue
        inside = draw(generator, 2) if boxed else 1 + draw(generator, 3)
        points[row, :inside], labels[row, :inside] = clicks(wall, inside, generator), 1
        if chance(generator) < 0.4:
            points[row, 3:], labels[row, 3] = clicks(~wall, 1, generator), 0
    if not boxed:
        return Prompts(points, labels, None, targets)
    y, x = wall.nonzero().unbind(1)
    box = torch.stack([x.min(), y.min(), x.max(), y.max()]).float()
    return Prompts(points, labels, box + 3 * torch.randn(PROMPTS, 4, generator=generator), targets)


def clicks(area: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """(count, 2) x, y of random pixels in `area`, a little away from its rim where it can be."""
    core = -F.max_pool2d(-area.float()[None, None], 5, 1, 2)[0, 0] > 0.5
    places = (core if core.any() else area).nonzero()
    chosen = places[torch.randint(len(places), (count,), generator=generator)]
    return chosen.flip(1).float() + 0.5


def predict(sam: Sam, features: torch.Tensor, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
    """For one picture's features (1, C, 16, 16): logits (P, 4, R, R) and guesses of their IoU (P, 4).

    Mask 0 is the single answer, 1 to 3 are the three that a lone click leaves open.
    """
    points = (prompts.points, prompts.labels)
    sparse, dense = sam.prompt_encoder(points=points, boxes=prompts.boxes, masks=None)
    logits, guesses = sam.mask_decoder.predict_masks(
        features, sam.prompt_encoder.get_dense_pe(), sparse, dense
    )
    return F.interpolate(logits, size=prompts.targets.shape[-2:], mode="bilinear"), guesses


def sam_losses(sam: Sam, pictures: torch.Tensor, prompts: list[Prompts]) -> dict[str, torch.Tensor]:
    """Focal + dice on the single mask and on the best of three, and the IoU head's error.

    As Kirillov et al. 2023, appendix A, but with every prompt teaching both kinds of answer.
    """
    features = sam.image_encoder((pictures - sam.pixel_mean) / sam.pixel_std)
    masks, ious = [], []
    for row, feature in zip(prompts, features, strict=True):
        logits, guesses = predict(sam, feature[None], row)
        truth = row.targets[:, None].expand_as(logits)
        loss = 10 * focal(logits, truth) + dice(logits, truth)
        masks.append(loss[:, 0] + loss[:, 1:].min(1).values)
        iou = intersection_over_union(logits.detach() > 0, truth)
        ious.append((guesses - iou).square().mean(1))
    return {"mask": torch.cat(masks).mean(), "iou": torch.cat(ious).mean()}


def focal(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Focal loss with gamma 2, over the last two axes."""
    error = F.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none")
    return (error * (1 - torch.exp(-error)) ** 2).mean((-2, -1))


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Dice loss over the last two axes."""
    p = logits.sigmoid()
    return 1 - (2 * (p * truth).sum((-2, -1)) + 1) / (p.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def intersection_over_union(guess: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """IoU of boolean masks over the last two axes."""
    return (guess & truth).sum((-2, -1)) / (guess | truth).sum((-2, -1)).clamp_min(1)


def sam_figures(sam: Sam, pool: Pool, per_view: int = 2) -> dict[str, float]:
    """Mean wall IoU on held-out rooms: one click, the likeliest of three masks; three clicks, the one."""
    generator = torch.Generator().manual_seed(0)
    scores: dict[int, list[float]] = {1: [], 3: []}
    with torch.no_grad():
        for view in pool.views:
            wall = view.mask
            for picture in view.pictures[:per_view].float() if wall.any() else ():
                features = sam.image_encoder((picture[None] - sam.pixel_mean) / sam.pixel_std)
                for count, values in scores.items():
                    points = clicks(wall[0], count, generator)[None]
                    logits, guesses = predict(
                        sam, features, Prompts(points, torch.ones(1, count), None, wall)
                    )
                    best = 1 + guesses[0, 1:].argmax() if count == 1 else 0
                    values.append(float(intersection_over_union(logits[0, best] > 0, wall[0])))
    return {f"wall_iou_{count}_clicks": sum(v) / max(1, len(v)) for count, v in scores.items()}
