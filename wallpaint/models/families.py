"""The families of models: one table, and where their files are. Imports nothing heavy.

A family is a row of data (ids, sizes, sampling), never a branch in the code. Every id may be a local folder.
What is missing is fetched from the hub, or else named, with where it was looked for and what fetches it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from wallpaint.errors import UserError
from wallpaint.models.files import find_file, find_weights
from wallpaint.paths import MODELS, from_home

# What the UNet takes in, in its order. Paint-by-Example's takes the mask last, 1 where the picture is kept.
INPAINTING = ("latents", "mask", "masked_image_latents")
UNET_TAKES = {"": INPAINTING, "paint_by_example_model": ("latents", "masked_image_latents", "kept")}
IMAGE_ENCODER = "models/image_encoder"  # the folder of the CLIP ViT-H that every adapter of h94 here reads


@dataclass(frozen=True)
class Family:
    """Ids, sizes and sampling defaults of one family of models; what is not said is as in `sd15`."""

    name: str
    base_model: str  # vae, unet, text_encoder, tokenizer, scheduler: a folder or a hub id
    ip_adapter_model: str  # a folder inside base_model, any other folder, or a hub id
    ip_adapter_weight_name: str
    resolution: int
    mask_growth: int  # pixels the mask grows at working size, so that no old colour leaks in at the rim
    num_inference_steps: int = 30
    guidance_scale: float = 5.0
    multiple: int = 8  # sides of the working picture are multiples of this many pixels
    dinov2_model: str = "facebook/dinov2-large"
    paint_by_example_model: str = ""  # its UNet, VAE, scheduler and image encoder; '': from the family's own
    detail_channels: tuple[int, ...] = (16, 32, 96, 256)  # layers that bring a detail map down to latents
    unet_model: str = ""  # where UNet, VAE and scheduler are; '': in base_model
    unet_takes: tuple[str, ...] = INPAINTING
    prediction_type: str = ""  # what the UNet says; '': as its scheduler's config tells
    ip_adapter_folder: str = "models"  # where in ip_adapter_model the adapter's file is
    text_encoders: tuple[str, ...] = ("text_encoder",)  # folders in base_model; each has its tokenizer
    pipeline: str = "StableDiffusionInpaintPipeline"  # diffusers' own, which reads what was learned


ROOM_TINY = Family(
    "room-tiny",
    str(MODELS / "room-tiny"),
    "ip_adapter",
    "ip-adapter-plus_room-tiny.safetensors",
    resolution=128,
    mask_growth=2,
    num_inference_steps=1,  # gives the mean of the possible pictures; chosen, as the guidance, on rooms held out
    guidance_scale=1.0,
    dinov2_model="dinov2",
    detail_channels=(8, 16, 32, 48),
)
SD15 = Family(
    "sd15",
    "stable-diffusion-v1-5/stable-diffusion-inpainting",
    "h94/IP-Adapter",
    "ip-adapter-plus_sd15.safetensors",
    resolution=512,
    mask_growth=8,
    paint_by_example_model="Fantasy-Studio/Paint-by-Example",
)
SDXL = Family(
    "sdxl",
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
    "h94/IP-Adapter",
    "ip-adapter-plus_sdxl_vit-h.safetensors",
    resolution=1024,
    mask_growth=16,
    ip_adapter_folder="sdxl_models",
    text_encoders=("text_encoder", "text_encoder_2"),
    pipeline="StableDiffusionXLInpaintPipeline",
)
FAMILIES = {family.name: family for family in (ROOM_TINY, SD15, SDXL)}


def resolve_family(name: str, **overrides: Any) -> Family:
    """The family's row with `base_model`, `resolution` and so on replaced where an override is not empty."""
    if name not in FAMILIES:
        raise UserError(f"family {name!r} does not exist: choose {' or '.join(FAMILIES)}")
    family = replace(FAMILIES[name], **{key: value for key, value in overrides.items() if value})
    if family.base_model.lower().endswith((".safetensors", ".ckpt")):
        if len(family.text_encoders) > 1:
            raise UserError(
                f"checkpoint {family.base_model} is one file, given as base_model of {name}: "
                "give a folder in diffusers' layout"
            )
        family = replace(family, base_model=str(_unpack(from_home(family.base_model))))
    # What a family keeps inside its base model, a fine-tune of that may keep as well or leave out.
    found: dict[str, Any] = {}
    for base in (FAMILIES[name].base_model, family.base_model):
        places = {f: from_home(base) / getattr(family, f) for f in ("ip_adapter_model", "dinov2_model")}
        found |= {f: str(place) for f, place in places.items() if place.exists()}
    return replace(family, **found)


def _unpack(checkpoint: Path) -> Path:
    """The folder that a checkpoint in one file is unpacked into."""
    if not checkpoint.is_file():
        raise UserError(f"checkpoint {checkpoint} does not exist, given as base_model: check the path")
    from wallpaint.models.single_file import unpack

    return unpack(checkpoint)


def with_base(family: Family, base: str) -> Family:
    """The family with the UNet that its field `base` names ('paint_by_example_model'), where it has one."""
    source = getattr(family, base) if base else ""
    return replace(family, unet_model=source, unet_takes=UNET_TAKES[base if source else ""])


def list_files(family: Family) -> dict[str, Callable[[], Path]]:
    """Every file that loading the family needs: its name -> what finds it, with a UserError where it is missing."""
    base, unet_model = family.base_model, family.unet_model or family.base_model
    label = f"family {family.name}"
    return {
        "model_index.json": partial(find_file, base, "model_index.json", label),
        "scheduler": partial(find_file, unet_model, "scheduler/scheduler_config.json", label),
        "unet": partial(find_weights, unet_model, "unet"),
        "vae": partial(find_weights, unet_model, "vae"),
        **{name: partial(find_weights, base, name) for name in family.text_encoders},
        **{f"tokenizer of {name}": partial(find_tokenizer, family, name) for name in family.text_encoders},
        "image adapter": partial(find_adapter, family),
        "image encoder": partial(find_weights, family.ip_adapter_model, IMAGE_ENCODER, family.ip_adapter_folder),
    }


def find_files(family: Family) -> dict[str, Path]:
    """Every file of `list_files`, found once for whatever reads it.

    Raises:
        UserError: one is neither in its folder nor in the hub's cache nor to be had from the hub.
    """
    return {name: find() for name, find in list_files(family).items()}


def find_adapter(family: Family) -> Path:
    """The adapter's file; a `.bin` asked for is also found as `.safetensors` and the other way round."""
    stem = Path(family.ip_adapter_weight_name).with_suffix("")
    wanted = Path(family.ip_adapter_weight_name).suffix
    inside = family.ip_adapter_folder
    names = [f"{inside}/{stem}{suffix}" for suffix in dict.fromkeys((wanted, ".safetensors", ".bin"))]
    return find_file(family.ip_adapter_model, names, "the image adapter", inside)


def find_tokenizer(family: Family, text_encoder: str) -> Path:
    """A file of the tokenizer that goes with one of `family.text_encoders`."""
    folder = text_encoder.replace("text_encoder", "tokenizer")
    return find_file(family.base_model, (f"{folder}/tokenizer_config.json", f"{folder}/vocab.json"))
