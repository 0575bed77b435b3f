"""Stage `dino`: a small DINOv2 encoder that tells rooms apart, by InfoNCE between two views of one."""

from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import Dinov2Config, Dinov2Model

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.data import Pool, chance, draw
from wallpaint.recipes.tiny.loop import Fit, fit, load_result

BATCH = {"cpu": 24, "cuda": 96}
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def train_dino(pool: Pool, work: Path, minutes: float) -> None:
    """Positive pairs: two crops of one picture, or the same room from another side."""
    torch.manual_seed(5)
    model = Dinov2Model(Dinov2Config(**sizes.DINO)).to(pool.device).train()

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        first, second = dino_batch(pool, generator)
        return {"infonce": dino_loss(model, first, second)}

    fit("dino", [model], step, Fit(minutes, 1e-3), work)


def load_dino(work: Path) -> Dinov2Model:
    """The trained model, for inference."""
    model = Dinov2Model(Dinov2Config(**sizes.DINO))
    load_result(work, "dino", [model])
    return model.eval()


def dino_batch(pool: Pool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two (BATCH, 3, 112, 112) stacks; row i of both is one room, in half of the rows one picture."""
    pairs = []
    for _ in range(BATCH[pool.device]):
        view = pool.views[pool.pick(generator)]
        picture = view.pictures[draw(generator, len(view.pictures))]
        other = picture
        if chance(generator) < 0.5:
            mates = pool.rooms[view.room]
            mate = pool.views[mates[draw(generator, len(mates))]]
            other = mate.pictures[draw(generator, len(mate.pictures))]
        pairs.append((random_crop(picture, generator), random_crop(other, generator)))
    first, second = zip(*pairs, strict=True)
    return torch.cat(first), torch.cat(second)


def random_crop(picture: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(1, 3, 112, 112), normalised, of a square of at least half the side."""
    side = int(picture.shape[-1] * (0.5 + 0.5 * chance(generator)))
    top, left = (draw(generator, picture.shape[-1] - side + 1) for _ in range(2))
    crop = picture[None, :, top : top + side, left : left + side].float() / 255
    crop = crop.flip(-1) if chance(generator) < 0.5 else crop
    size = sizes.DINO["image_size"]
    return (F.interpolate(crop, size=(size, size), mode="bilinear", antialias=True) - MEAN.to(crop.device)) / STD.to(
        crop.device
    )


def dino_loss(model: Dinov2Model, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE at temperature 0.1 of class token + mean patch token."""
    states = model(torch.cat([first, second])).last_hidden_state
    a, b = F.normalize(states[:, 0] + states[:, 1:].mean(1), dim=-1).chunk(2)
    logits, target = a @ b.T / 0.1, torch.arange(len(a), device=a.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
