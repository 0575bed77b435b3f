"""Stage `base`: the inpainting UNet on cached latents. Stage `adapter`: IP-Adapter-Plus, all else frozen."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.build import build_resampler
from wallpaint.recipes.tiny.clip import cached_name, load_clip, load_tokenizer, to_clip, tokenize
from wallpaint.recipes.tiny.data import Pool, View, chance, draw
from wallpaint.recipes.tiny.h94 import adapter_parameters, attach_adapter
from wallpaint.recipes.tiny.latents import WALL_MASKS, Latents, load_vae
from wallpaint.recipes.tiny.loop import Fit, fit, graphed, load_result

BATCH = {"cpu": 16, "cuda": 512}
ADAPTER_BATCH = {"cpu": 16, "cuda": 128}
VISITED, VISITED_SHARE = (999, 499), 0.4  # so often a step that two-step sampling visits, else any
BOX_SHARE = 0.15  # how often the hole is a random box instead of the wall
REPAINT_SHARE = 0.35  # how often a wall is not blanked but repainted classically, for the method `refine`
OUTSIDE_WEIGHT = 0.25  # the composite keeps the photo there: less to learn


@dataclass
class Texts:
    """Frozen text encoder with a memory: captions repeat."""

    encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    places: dict[str, int] = field(default_factory=dict)  # of each text in `states`
    states: torch.Tensor | None = None  # (T, 48, TEXT_WIDTH), with room for more

    def encode(self, texts: list[str]) -> torch.Tensor:
        """(B, 48, TEXT_WIDTH)."""
        missing = sorted({text for text in texts if text not in self.places})
        if missing:
            with torch.no_grad():
                fresh = self.encoder(tokenize(self.tokenizer, missing).to(self.encoder.device)).last_hidden_state
            first, last = len(self.places), len(self.places) + len(missing)
            if self.states is None or last > len(self.states):
                grown = fresh.new_empty(2 * last, *fresh.shape[1:])
                if self.states is not None:
                    grown[:first] = self.states[:first]
                self.states = grown
            self.states[first:last] = fresh
            self.places.update(zip(missing, range(first, last), strict=True))
        assert self.states is not None  # there was a text, so there is a state
        return self.states[torch.tensor([self.places[text] for text in texts], device=self.states.device)]


@dataclass(frozen=True)
class Examples:
    """What a batch is made of, each (B,) of indices."""

    view: torch.Tensor
    picture: torch.Tensor  # the target
    mask: torch.Tensor  # which masked variant the UNet is shown
    repainted: torch.Tensor  # bool: the wall stands there repainted, and not blanked

    def rows(self) -> list[tuple[int, int]]:
        """(view, picture) of each example."""
        return list(zip(self.view.tolist(), self.picture.tolist(), strict=True))


class Predict(torch.nn.Module):
    """The UNet with positional tensors alone, as a CUDA graph wants it."""

    def __init__(self, unet: UNet2DConditionModel):
        super().__init__()
        self.unet = unet

    def forward(self, packed, t, prompts, images=None):
        """Velocity for (B, 9, 16, 16) latents, (B,) timesteps, (B, 48, E) prompts, (B, 1, 37, E) images."""
        extra = None if images is None else {"image_embeds": [images]}
        return self.unet(packed, t, prompts, added_cond_kwargs=extra).sample


def draw_examples(latents: Latents, count: int, generator: torch.Generator) -> Examples:
    """Views and targets; the wall variants show another paint's light round the hole, as in use."""
    view = latents.pool.picks(count, generator)
    box = torch.rand(count, generator=generator) < BOX_SHARE
    any_picture = (torch.rand(count, generator=generator) * latents.counts[view]).long()
    any_mask = torch.randint(WALL_MASKS, (count,), generator=generator)
    repainted = ~box & (torch.rand(count, generator=generator) < REPAINT_SHARE)
    picture = torch.where(box, latents.source[view], any_picture)
    return Examples(view, picture, torch.where(box, torch.tensor(WALL_MASKS), any_mask), repainted)


def prompt_for(view: View, picture: int, generator: torch.Generator, named: float, empty: float) -> str:
    """Caption with the colour's name (share `named`), nothing (share `empty`), or the caption alone."""
    x = chance(generator)
    if x < empty:
        return ""
    return cached_name(view.caption, view.colors[picture]) if x < empty + named else view.caption


def draw_timesteps(count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) any step of the scheduler's, or, VISITED_SHARE of them, one that sampling in two steps visits."""
    steps = torch.randint(sizes.TIMESTEPS, (count,), generator=generator)
    visited = torch.tensor(VISITED)[torch.randint(len(VISITED), (count,), generator=generator)]
    return torch.where(torch.rand(count, generator=generator) < VISITED_SHARE, visited, steps)


def denoising_loss(
    predict: torch.nn.Module,
    scheduler: DDIMScheduler,
    latents: Latents,
    examples: Examples,
    generator: torch.Generator,
    prompts: torch.Tensor,
    images: torch.Tensor | None = None,
) -> torch.Tensor:
    """Squared error of v, the region to repaint weighted 1, the rest OUTSIDE_WEIGHT."""
    device = latents.pictures.device
    picture = (latents.first[examples.view] + examples.picture).to(device)
    x, view, variant = latents.pictures[picture], examples.view.to(device), examples.mask.to(device)
    mask, repainted = latents.masks[view, variant], examples.repainted.to(device)[:, None, None, None]
    masked = torch.where(repainted, latents.repainted[picture], latents.masked[view, variant])
    noise = torch.randn(x.shape, generator=generator).to(device)
    t = draw_timesteps(len(x), generator).to(device)
    noisy, target = scheduler.add_noise(x, noise, t), scheduler.get_velocity(x, noise, t)
    packed = torch.cat([noisy, mask, masked], 1).contiguous(memory_format=torch.channels_last)
    prediction = predict(packed, t, prompts) if images is None else predict(packed, t, prompts, images)
    weight = OUTSIDE_WEIGHT + (1 - OUTSIDE_WEIGHT) * mask
    return (weight * (prediction - target).square()).mean() / weight.mean()


def example_inputs(batch: int, device: str) -> tuple[torch.Tensor, ...]:
    """Inputs of `Predict` of the right shapes: latents, timesteps, prompts."""
    size, channels = sizes.UNET["sample_size"], sizes.UNET["in_channels"]
    packed = torch.randn(batch, channels, size, size, device=device).to(memory_format=torch.channels_last)
    length = sizes.TEXT["max_position_embeddings"]
    prompts = torch.randn(batch, length, sizes.TEXT_WIDTH, device=device)
    return packed, torch.zeros(batch, dtype=torch.long, device=device), prompts


def load_latents(pool: Pool, work: Path) -> Latents:
    """The latents of a pool; the held-out rooms have their own file."""
    name = "latents-held-out.pt" if pool.held_out else "latents.pt"
    return Latents(pool, load_vae(work, pool), Path(work) / name).refresh()


def train_base(pool: Pool, work: Path, minutes: float) -> None:
    """The UNet from scratch."""
    torch.manual_seed(2)
    latents, tokenizer = load_latents(pool, work), load_tokenizer(pool, work)
    texts, batch = Texts(load_clip(tokenizer, work)[0].to(pool.device), tokenizer), BATCH[pool.device]
    unet = UNet2DConditionModel(**sizes.UNET).to(memory_format=torch.channels_last).to(pool.device).train()
    predict = graphed(Predict(unet), *example_inputs(batch, pool.device))
    scheduler = DDIMScheduler(**sizes.SCHEDULER)

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        if pool.look_again(every=400):
            latents.refresh()
        examples = draw_examples(latents, batch, generator)
        words = [prompt_for(pool.views[v], p, generator, 0.5, 0.1) for v, p in examples.rows()]
        return {"v": denoising_loss(predict, scheduler, latents, examples, generator, texts.encode(words))}

    fit("base", [unet], step, Fit(minutes, 1e-3, warmup_steps=100, ema=0.995), work)


def load_base(work: Path) -> UNet2DConditionModel:
    """The trained UNet, frozen, with a fresh adapter attached."""
    unet = UNet2DConditionModel(**sizes.UNET)
    load_result(work, "base", [unet])
    unet.requires_grad_(False)
    torch.manual_seed(3)
    attach_adapter(unet, build_resampler())
    return unet.to(memory_format=torch.channels_last)


def train_adapter(pool: Pool, work: Path, minutes: float) -> None:
    """Only the Resampler, to_k_ip and to_v_ip; references are pictures and crops of them, never swatches."""
    latents, tokenizer = load_latents(pool, work), load_tokenizer(pool, work)
    text, vision = (model.to(pool.device) for model in load_clip(tokenizer, work))
    texts, scheduler, batch = Texts(text, tokenizer), DDIMScheduler(**sizes.SCHEDULER), ADAPTER_BATCH[pool.device]
    unet = load_base(work).to(pool.device)
    unet.requires_grad_(False)
    for parameter in adapter_parameters(unet):
        parameter.requires_grad_(True)
    null = encode_references(vision, None)
    inputs = example_inputs(batch, pool.device)
    predict = graphed(Predict(unet), *inputs, null.repeat(batch, 1, 1, 1))

    def step(generator: torch.Generator) -> dict[str, torch.Tensor]:
        examples = draw_examples(latents, batch, generator)
        words = [prompt_for(pool.views[v], p, generator, 0.1, 0.1) for v, p in examples.rows()]
        images = encode_references(vision, [reference(pool, v, p, generator) for v, p in examples.rows()])
        drop = torch.rand(batch, generator=generator)
        images[(drop < 0.1).to(images.device)] = null  # image 5 %, image and text 5 %
        words = ["" if 0.05 <= d < 0.15 else w for d, w in zip(drop.tolist(), words, strict=True)]
        prompts = texts.encode(words)
        return {"v": denoising_loss(predict, scheduler, latents, examples, generator, prompts, images)}

    fit("adapter", [unet], step, Fit(minutes, 1e-3, warmup_steps=100, ema=0.995), work)


@torch.no_grad()
def encode_references(vision: CLIPVisionModelWithProjection, pictures: list | None) -> torch.Tensor:
    """(B, 1, 37, VISION_WIDTH) states before the last layer; None = the null image, all zero pixels."""
    size = sizes.VISION["image_size"]
    x = torch.zeros(1, 3, size, size) if pictures is None else torch.cat([to_clip(p) for p in pictures])
    return vision(x.to(vision.device), output_hidden_states=True).hidden_states[-2][:, None]


def reference(pool: Pool, number: int, index: int, generator: torch.Generator) -> torch.Tensor:
    """uint8 (1, 3, h, w): the target, or its paint seen from elsewhere in the room; whole or a crop."""
    view = pool.views[number]
    paint = view.colors[index]
    others = [pool.views[i] for i in pool.rooms[view.room]]
    same = [(v, i) for v in others for i, c in enumerate(v.colors) if c == paint and c is not None]
    if same and chance(generator) < 0.5:
        view, index = same[draw(generator, len(same))]
    picture, wall = view.pictures[index], view.mask
    if chance(generator) < 0.3:
        return picture[None]
    for _ in range(4):  # a few tries for a crop that shows some wall
        height, width = (int(sizes.RESOLUTION * (0.2 + 0.8 * chance(generator)) ** 0.75) for _ in range(2))
        top, left = (draw(generator, sizes.RESOLUTION - height + 1), draw(generator, sizes.RESOLUTION - width + 1))
        area = (slice(None), slice(top, top + height), slice(left, left + width))
        if wall[area].float().mean() > 0.2:
            break
    crop = picture[area]
    return crop[None].flip(-1) if chance(generator) < 0.5 else crop[None]


def load_adapted(work: Path) -> UNet2DConditionModel:
    """Base and adapter together."""
    unet = load_base(work)
    load_result(work, "adapter", [unet])
    return unet
