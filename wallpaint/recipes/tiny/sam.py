"""Stage `sam`: a small segment-anything for walls, from clicks and boxes, trained through its submodules."""

from dataclasses import dataclass
from pathlib import Path

import torch
from kornia import augmentation
from segment_anything.modeling import Sam
from torch.nn import functional as F

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.data import Pool, chance, draw
from wallpaint.recipes.tiny.loop import Fit, fit, load_result
from wallpaint.walls.sams import build_sam

BATCH = {"cpu": 8, "cuda": 32}
PROMPTS = 3  # prompts a picture: the image encoder runs once for all of them
BOX_SHARE = 0.2
MEASURED = 2  # pictures a view
OFF_WALL_SHARE = 0.08  # clicks on something else, whose answer is "not the wall"


@dataclass(frozen=True)
class Prompts:
    """Q = B x P prompts, P for each of B pictures, in pixels, and the masks that they ask for."""

    points: torch.Tensor  # (Q, N, 2) x, y
    labels: torch.Tensor  # (Q, N) 1 = inside, 0 = outside, -1 = no click
    boxes: torch.Tensor | None  # (Q, 4) x0, y0, x1, y1; all have one or none
    targets: torch.Tensor  # (Q, R, R) bool

    def to(self, device) -> "Prompts":
        """The same on another device."""
        boxes = None if self.boxes is None else self.boxes.to(device)
        return Prompts(self.points.to(device), self.labels.to(device), boxes, self.targets.to(device))


def train_sam(pool: Pool, work: Path, minutes: float) -> None:
    """All of it from scratch."""
    torch.manual_seed(4)
    sam = build_sam(sizes.SAM).to(pool.device).train()
    held_out = pool.only_held_out(24)
    vary = variations()

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        pool.look_again(every=300)
        return sam_losses(sam, *sam_batch(pool, generator, vary))

    fit("sam", [sam], step, Fit(minutes, 1e-3, warmup_steps=30, ema=0.98), work, lambda: sam_figures(sam, held_out))


def load_sam(work: Path) -> Sam:
    """The trained model, for inference."""
    sam = build_sam(sizes.SAM)
    load_result(work, "sam", [sam])
    return sam.eval()


def variations() -> augmentation.AugmentationSequential:
    """Crops, proportions, light and lens that the renderer lacks, for pictures in [0, 1] and masks."""
    size = (sizes.RESOLUTION, sizes.RESOLUTION)
    return augmentation.AugmentationSequential(
        augmentation.RandomHorizontalFlip(),
        augmentation.RandomResizedCrop(size, scale=(0.35, 1.0), ratio=(0.6, 1.6), p=0.6),
        augmentation.ColorJiggle(0.3, 0.3, 0.4, 0.05, p=0.7),
        augmentation.RandomGaussianBlur((5, 5), (0.2, 1.5), p=0.3),
        augmentation.RandomGaussianNoise(std=0.03, p=0.3),
        data_keys=["input", "mask"],
        extra_args={},
    )


def sam_batch(pool: Pool, generator: torch.Generator, vary) -> tuple[torch.Tensor, Prompts]:
    """(B, 3, R, R) pixels 0-255 and PROMPTS prompts for each; `vary` as `variations` makes it."""
    views = [pool.views[i] for i in pool.picks(BATCH[pool.device], generator).tolist()]
    pictures = torch.stack([view.pictures[draw(generator, len(view.pictures))] for view in views]).float()
    walls = torch.stack([view.mask for view in views]).float()
    torch.manual_seed(draw(generator, 2**31))
    pictures, walls = vary(pictures / 255, walls.to(pictures.device))
    pictures, walls = pictures.clamp(0, 1) * 255, walls.cpu()[:, 0] > 0.5
    useful = [i for i, share in enumerate(walls.float().mean((1, 2)).tolist()) if 0.02 < share < 0.98]
    useful = (useful * len(views))[: len(views)]  # what shows no wall gives way to another
    boxed = chance(generator) < BOX_SHARE
    rows = [draw_prompts(walls[i], boxed, generator) for i in useful]
    points, labels, targets, boxes = (torch.cat(part) for part in zip(*rows, strict=True))
    return pictures[useful], Prompts(points, labels, boxes if boxed else None, targets)


def draw_prompts(wall: torch.Tensor, boxed: bool, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Points, labels, targets, boxes of PROMPTS prompts for one wall (R, R).

    One to three clicks, at times one off the wall, or a box with them; or one click on something else.
    """
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
    y, x = wall.nonzero().unbind(1)
    box = torch.stack([x.min(), y.min(), x.max(), y.max()]).float()
    return points, labels, targets, box + 3 * torch.randn(PROMPTS, 4, generator=generator)


def clicks(area: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """(count, 2) x, y of random pixels in `area`, a little away from its rim where it can be."""
    core = -F.max_pool2d(-area.float()[None, None], 5, 1, 2)[0, 0] > 0.5
    places = (core if core.any() else area).nonzero()
    chosen = places[torch.randint(len(places), (count,), generator=generator)]
    return chosen.flip(1).float() + 0.5


def predict(sam: Sam, features: torch.Tensor, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
    """For features (B, C, 16, 16) and Q = B x P prompts: logits (Q, 4, R, R) and guesses of their IoU (Q, 4).

    Mask 0 is the single answer, 1 to 3 are the three that a lone click leaves open.
    """
    points = (prompts.points, prompts.labels)
    sparse, dense = sam.prompt_encoder(points=points, boxes=prompts.boxes, masks=None)
    # The decoder repeats one picture's features for all prompts and adds `dense`: what differs goes there.
    dense = dense + features.repeat_interleave(len(dense) // len(features), 0)
    nothing = torch.zeros_like(features[:1])
    logits, guesses = sam.mask_decoder.predict_masks(nothing, sam.prompt_encoder.get_dense_pe(), sparse, dense)
    return F.interpolate(logits, size=prompts.targets.shape[-2:], mode="bilinear"), guesses


def sam_losses(sam: Sam, pictures: torch.Tensor, prompts: Prompts) -> dict[str, torch.Tensor]:
    """Focal + dice on the single mask and on the best of three, and the IoU head's error.

    As Kirillov et al. 2023, appendix A, but with every prompt teaching both kinds of answer.
    """
    prompts = prompts.to(pictures.device)
    logits, guesses = predict(sam, sam.image_encoder((pictures - sam.pixel_mean) / sam.pixel_std), prompts)
    truth = prompts.targets[:, None].expand_as(logits)
    loss = 10 * focal(logits, truth) + dice(logits, truth)
    iou = intersection_over_union(logits.detach() > 0, truth)
    return {"mask": (loss[:, 0] + loss[:, 1:].min(1).values).mean(), "iou": (guesses - iou).square().mean()}


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


def sam_figures(sam: Sam, pool: Pool) -> dict[str, float]:
    """Mean wall IoU on held-out rooms: one click, the likeliest of three masks; three clicks, the one."""
    generator = torch.Generator().manual_seed(0)
    scores: dict[int, list[float]] = {1: [], 3: []}
    with torch.no_grad():
        for view in pool.views:
            wall = view.mask.to(sam.device)
            for picture in view.pictures[:MEASURED].float() if wall.any() else ():
                features = sam.image_encoder((picture[None] - sam.pixel_mean) / sam.pixel_std)
                for count, values in scores.items():
                    points = clicks(view.mask[0], count, generator)[None]
                    asked = Prompts(points, torch.ones(1, count), None, wall).to(sam.device)
                    logits, guesses = predict(sam, features, asked)
                    best = 1 + guesses[0, 1:].argmax() if count == 1 else 0
                    values.append(float(intersection_over_union(logits[0, best] > 0, wall[0])))
    return {f"wall_iou_{count}_clicks": sum(v) / max(1, len(v)) for count, v in scores.items()}
