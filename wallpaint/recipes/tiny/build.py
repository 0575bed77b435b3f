"""Builds every model of the family with fresh weights, and writes a family folder in the final layout.

The folder loads with stock classes: `StableDiffusionInpaintPipeline.from_pretrained(folder)`,
`pipe.load_ip_adapter(folder / "ip_adapter", subfolder="models", ...)`, `Dinov2Model.from_pretrained`.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import nn
from transformers import (
    BitImageProcessor,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
)
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from wallpaint.models.loading import read_adapter
from wallpaint.recipes.tiny import sizes
from wallpaint.recipes.tiny.h94 import adapter_weights, attach_adapter
from wallpaint.recipes.tiny.tokenizer import train_tokenizer
from wallpaint.walls.sams import build_sam, load_folder

CAPTIONS = (
    "a bedroom with a bed and a window, sage green walls",
    "an empty room with white walls",
    "a photo of a room",
)


@dataclass(frozen=True)
class Family:
    """The models of one family, as modules (float32)."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel  # with the adapter attached
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModelWithProjection
    sam: Sam
    dino: Dinov2Model


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A text encoder with `tokenizer`'s vocabulary and special tokens."""
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPTextConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **tokens, **sizes.TEXT)
    return CLIPTextModel(config)


def build_image_encoder() -> CLIPVisionModelWithProjection:
    """(B, 3, 96, 96) CLIP-normalised -> 37 tokens of VISION_WIDTH."""
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes.VISION))


def build_resampler() -> IPAdapterPlusImageProjection:
    """IP-Adapter-Plus' Resampler; its head size (64) and depth (4) are what the stock loader assumes."""
    return IPAdapterPlusImageProjection(**sizes.RESAMPLER)


def build_family(seed: int = 0) -> Family:
    """Every model with random weights; the VAE already carries colour."""
    from wallpaint.recipes.tiny.carry import build_vae

    torch.manual_seed(seed)
    tokenizer = train_tokenizer(CAPTIONS, 600, sizes.TEXT["max_position_embeddings"])
    unet = UNet2DConditionModel(**sizes.UNET)
    attach_adapter(unet, build_resampler())
    return Family(
        vae=build_vae(),
        unet=unet,
        text_encoder=build_text_encoder(tokenizer),
        tokenizer=tokenizer,
        image_encoder=build_image_encoder(),
        sam=build_sam(sizes.SAM),
        dino=Dinov2Model(Dinov2Config(**sizes.DINO)),
    )


def save_family(family: Family, folder: Path) -> None:
    """Writes beside `folder` and then swaps, so that a reader never meets half a family."""
    folder = Path(folder)
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for path in (fresh, old):
        shutil.rmtree(path, ignore_errors=True)
    _write(family, fresh)
    for name in ("README.md", "figures.json", "training.jsonl"):  # what other commands wrote stays
        if (folder / name).exists():
            shutil.copy(folder / name, fresh / name)
    for path in fresh.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors come out as 0600
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(family: Family, folder: Path) -> None:
    weights = folder / "ip_adapter" / "models"
    weights.mkdir(parents=True)
    save_file(_contiguous(adapter_weights(family.unet)), weights / sizes.ADAPTER_NAME)
    size = {"height": sizes.VISION["image_size"], "width": sizes.VISION["image_size"]}
    _save_half(family.image_encoder, weights / "image_encoder")
    CLIPImageProcessor(size={"shortest_edge": size["width"]}, crop_size=size).save_pretrained(
        weights / "image_encoder"
    )

    _save_half(family.dino, folder / "dinov2")
    edge = sizes.DINO["image_size"]
    crop = {"height": edge, "width": edge}
    norm = {"image_mean": list(IMAGENET_DEFAULT_MEAN), "image_std": list(IMAGENET_DEFAULT_STD)}  # not CLIP's
    dino = BitImageProcessor(size={"shortest_edge": edge}, crop_size=crop, **norm)
    dino.save_pretrained(folder / "dinov2")

    save_file(_contiguous(family.sam.state_dict()), folder / "sam.safetensors")
    (folder / "sam.json").write_text(json.dumps(sizes.SAM, indent=2) + "\n")

    unet = UNet2DConditionModel(**sizes.UNET)  # the base alone: the adapter has its own file
    unet.load_state_dict({k: family.unet.state_dict()[k] for k in unet.state_dict()})
    _save_half(unet, folder / "unet")
    _save_half(family.vae, folder / "vae")
    _save_half(family.text_encoder, folder / "text_encoder")
    family.tokenizer.save_pretrained(folder / "tokenizer")
    scheduler = DDIMScheduler(**sizes.SCHEDULER)
    scheduler.save_pretrained(folder / "scheduler")
    pipe = StableDiffusionInpaintPipeline(
        family.vae, family.text_encoder, family.tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    pipe.save_config(folder)  # model_index.json


def _contiguous(state: dict) -> dict:
    """float16 copies: half the file, and no figure moves."""
    return {k: v.detach().to(torch.float16).contiguous().cpu() for k, v in state.items()}


def _save_half(model: nn.Module, folder: Path) -> None:
    """save_pretrained with float16 weights and a config that still says float32."""
    model.save_pretrained(folder)
    (path,) = folder.glob("*.safetensors")
    save_file(_contiguous(model.state_dict()), path, metadata={"format": "pt"})


def load_family(folder: Path) -> Family:
    """What `save_family` wrote, adapter attached."""
    folder = Path(folder)
    adapter = folder / "ip_adapter" / "models"
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    unet._load_ip_adapter_weights([read_adapter(adapter / sizes.ADAPTER_NAME)])
    sam, _ = load_folder(folder / "sam.json")
    return Family(
        vae=AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
        unet=unet,
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(adapter / "image_encoder", dtype=torch.float32),
        sam=sam,
        dino=Dinov2Model.from_pretrained(folder / "dinov2", dtype=torch.float32),
    )
