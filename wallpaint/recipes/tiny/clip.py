"""Stage `clip`: text and image encoder by InfoNCE on pictures and captions that name the wall's colour.

Half of the negatives are the same view in another paint, so that both sides have to see the colour.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.build import build_image_encoder, build_text_encoder
from wallpaint.recipes.tiny.data import Pool, chance
from wallpaint.recipes.tiny.loop import Fit, fit, load_result
from wallpaint.recipes.tiny.tokenizer import train_tokenizer
from wallpaint.recipes.tiny.words import PAINTS, with_color

VIEWS, PAINTS_EACH = {"cpu": 12, "cuda": 48}, 4
COLOR_WEIGHT = 10.0
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
EXTRA = (  # words that people write and the renderer does not
    "a photo of a room, an interior, an empty room, the wall is painted in a plain colour",
    "a photo of a living room with freshly painted walls, in the colour of the reference image",
)


def load_tokenizer(pool: Pool, work: Path) -> CLIPTokenizer:
    """Trained once on the captions, then read from `work`."""
    folder = Path(work) / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        captions = [view.caption for view in pool.views] + list(EXTRA) * 50
        captions += [f"{name} walls, {name} paint" for name in PAINTS for _ in range(50)]
        train_tokenizer(captions, 900, sizes.TEXT["max_position_embeddings"]).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def train_clip(pool: Pool, work: Path, minutes: float) -> None:
    """Both encoders, and two heads that only this stage needs: text projection, a patch's mean colour."""
    torch.manual_seed(1)
    tokenizer = load_tokenizer(pool, work)
    models = [model.to(pool.device) for model in build_clip(tokenizer)]
    held_out = pool.only_held_out(24)

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        return clip_losses(models, tokenizer, *clip_batch(pool, generator))

    @torch.no_grad()
    def evaluate() -> dict[str, float]:
        losses = clip_losses(models, tokenizer, *clip_batch(held_out, torch.Generator().manual_seed(0)))
        return {f"held_out_{name}": value.item() for name, value in losses.items()}

    fit("clip", models, step, Fit(minutes, 1e-3), work, evaluate)


def build_clip(tokenizer: CLIPTokenizer) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Text encoder, image encoder, the text's projection, and the reader of a patch's colour."""
    return (
        build_text_encoder(tokenizer),
        build_image_encoder(),
        nn.Linear(sizes.TEXT_WIDTH, sizes.TEXT["projection_dim"], bias=False),
        nn.Linear(sizes.VISION_WIDTH, 3),
    )


def load_clip(tokenizer: CLIPTokenizer, work: Path) -> tuple[CLIPTextModel, CLIPVisionModelWithProjection]:
    """The trained encoders, frozen."""
    text, vision, *heads = build_clip(tokenizer)
    load_result(work, "clip", [text, vision, *heads])
    return text.eval().requires_grad_(False), vision.eval().requires_grad_(False)


def clip_batch(pool: Pool, generator: torch.Generator) -> tuple[torch.Tensor, list[str]]:
    """VIEWS views x PAINTS_EACH of their pictures: uint8 pictures and their captions."""
    pictures, texts = [], []
    for _ in range(VIEWS[pool.device]):
        view = pool.views[pool.pick(generator)]
        for index in torch.randperm(len(view.pictures), generator=generator)[:PAINTS_EACH].tolist():
            flip = chance(generator) < 0.5
            pictures.append(view.pictures[index].flip(-1) if flip else view.pictures[index])
            texts.append(cached_name(view.caption, view.colors[index]))
    return torch.stack(pictures), texts


cached_name = lru_cache(maxsize=None)(with_color)


def clip_losses(
    models: Sequence[nn.Module], tokenizer: CLIPTokenizer, pictures: torch.Tensor, texts: list[str]
) -> dict[str, torch.Tensor]:
    """Symmetric InfoNCE at temperature 0.07; equal captions in a batch count as one (soft targets).

    And the squared error of each patch's mean colour, read off the layer that the adapter sees: a large
    CLIP keeps colour there by itself, a small one forgets what the captions' fifty names do not ask for.
    """
    text, vision, head, reader = models  # as `build_clip` gives them
    x = to_clip(pictures)
    seen = vision(x, output_hidden_states=True)
    images = F.normalize(seen.image_embeds, dim=-1)
    words = F.normalize(head(text(tokenize(tokenizer, texts).to(x.device)).pooler_output), dim=-1)
    logits = images @ words.T / 0.07
    numbers = {words: number for number, words in enumerate(dict.fromkeys(texts))}
    kind = torch.tensor([numbers[words] for words in texts], device=x.device)
    same = (kind[:, None] == kind).float()
    target = same / same.sum(1, keepdim=True)
    infonce = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    patches = F.avg_pool2d(x, sizes.VISION["patch_size"]).flatten(2).transpose(1, 2)
    color = (reader(seen.hidden_states[-2][:, 1:]) - patches).square().mean()
    return {"infonce": infonce, "color": COLOR_WEIGHT * color}


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """(B, 48) ids, padded as the stock pipeline pads."""
    length = sizes.TEXT["max_position_embeddings"]
    return tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def to_clip(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, 3, H, W) -> (B, 3, 96, 96) in CLIP's normalisation."""
    size = sizes.VISION["image_size"]
    x = F.interpolate(pictures.float() / 255, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
    return (x - MEAN.to(x.device)) / STD.to(x.device)
