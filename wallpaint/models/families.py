"""The families of models: one table, and where their files are.

A family is a row of data (ids, sizes, sampling), never a branch in the code. Every id may be a local folder.
What is missing is fetched from the hub, or else named, with where it was looked for and the command that
fetches it. Imports nothing heavy.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wallpaint.errors import UserError
from wallpaint.models.files import find_file, find_weights
from wallpaint.paths import ASSETS, MODELS

# What the UNet takes in, in its order. Paint-by-Example's says the mask last, 1 where the picture is kept.
INPAINTING = ("latents", "mask", "masked_image_latents")
UNET_TAKES = {"": INPAINTING, "paint_by_example_model": ("latents", "masked_image_latents", "kept")}
IMAGE_ENCODER = "models/image_encoder"  # the folder of the CLIP ViT-H that every adapter of h94 here hears


@dataclass(frozen=True)
class Family:
    """Ids, sizes and sampling defaults of one family of models."""

    name: str
    base_model: str  # vae, unet, text_encoder, tokenizer, scheduler: a folder or a hub id
    ip_adapter_model: str  # a folder inside base_model, any other folder, or a hub id
    ip_adapter_weight_name: str
    resolution: int
    multiple: int  # sides of the working picture are multiples of this many pixels
    mask_growth: int  # pixels the mask grows at working size, so that no old colour leaks in at the rim
    num_inference_steps: int
    guidance_scale: float
    sam: str
    walls: str  # finds walls unasked: the classifier's .safetensors, or a SegFormer on ADE20K (folder or id)
    dinov2_model: str
    paint_by_example_model: str  # its UNet, VAE, scheduler and image encoder; '': it starts from the family's own
    detail_channels: tuple[int, ...]  # of the layers through which a detail map comes down to latents
    unet_model: str = ""  # where UNet, VAE and scheduler are; '': in base_model
    unet_takes: tuple[str, ...] = INPAINTING
    prediction_type: str = ""  # what the UNet says; '': as its scheduler's config tells
    ip_adapter_folder: str = "models"  # where in ip_adapter_model the adapter's file is
    text_encoders: tuple[str, ...] = ("text_encoder",)  # folders in base_model; each has its tokenizer
    pipeline: str = "StableDiffusionInpaintPipeline"  # diffusers' own, which reads what was learned


def family_folder(name: str) -> Path:
    """Where a family that lives in the repository is kept."""
    return MODELS / name


FAMILIES: dict[str, Family] = {
    "room-tiny": Family(
        name="room-tiny",
        base_model=str(family_folder("room-tiny")),
        ip_adapter_model="ip_adapter",
        ip_adapter_weight_name="ip-adapter-plus_room-tiny.safetensors",
        resolution=128,
        multiple=8,
        mask_growth=2,
        num_inference_steps=2,
        guidance_scale=1.25,
        sam="sam.json",
        walls=str(ASSETS / "walls" / "room-tiny.safetensors"),
        dinov2_model="dinov2",
        paint_by_example_model="",
        detail_channels=(8, 16, 32, 48),
    ),
    "sd15": Family(
        name="sd15",
        base_model="stable-diffusion-v1-5/stable-diffusion-inpainting",
        ip_adapter_model="h94/IP-Adapter",
        ip_adapter_weight_name="ip-adapter-plus_sd15.safetensors",
        resolution=512,
        multiple=8,
        mask_growth=8,
        num_inference_steps=30,
        guidance_scale=5.0,
        sam="sam_vit_b_01ec64.pth",
        walls="nvidia/segformer-b4-finetuned-ade-512-512",
        dinov2_model="facebook/dinov2-large",
        paint_by_example_model="Fantasy-Studio/Paint-by-Example",
        detail_channels=(16, 32, 96, 256),
    ),
    "sdxl": Family(
        name="sdxl",
        base_model="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        ip_adapter_model="h94/IP-Adapter",
        ip_adapter_weight_name="ip-adapter-plus_sdxl_vit-h.safetensors",
        ip_adapter_folder="sdxl_models",
        resolution=1024,
        multiple=8,
        mask_growth=16,
        num_inference_steps=30,
        guidance_scale=5.0,
        sam="sam_vit_b_01ec64.pth",
        walls="nvidia/segformer-b4-finetuned-ade-512-512",
        dinov2_model="facebook/dinov2-large",
        paint_by_example_model="",
        detail_channels=(16, 32, 96, 256),
        text_encoders=("text_encoder", "text_encoder_2"),
        pipeline="StableDiffusionXLInpaintPipeline",
    ),
}


def resolve_family(name: str, **overrides: Any) -> Family:
    """The family's row with `base_model`, `resolution` and so on replaced where an override is not empty."""
    if name not in FAMILIES:
        raise UserError(f"family {name!r} does not exist: choose {' or '.join(FAMILIES)}")
    family = replace(FAMILIES[name], **{key: value for key, value in overrides.items() if value})
    if family.base_model.endswith((".safetensors", ".ckpt")):
        if len(family.text_encoders) > 1:
            raise UserError(
                f"checkpoint {family.base_model} is one file, given as base_model of {name}: "
                "give a folder in diffusers' layout"
            )
        family = replace(family, base_model=str(_unpack(Path(family.base_model).expanduser())))
    folder = Path(family.base_model)
    inside: dict[str, Any] = {f: str(folder / getattr(family, f)) for f in ("ip_adapter_model", "dinov2_model")}
    return replace(family, **{f: path for f, path in inside.items() if Path(path).is_dir()})


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


def find_adapter(family: Family) -> Path:
    """The adapter's file; a `.bin` asked for is also found as `.safetensors` and the other way round."""
    stem = Path(family.ip_adapter_weight_name).with_suffix("")
    wanted = Path(family.ip_adapter_weight_name).suffix
    inside = family.ip_adapter_folder
    names = [f"{inside}/{stem}{suffix}" for suffix in dict.fromkeys((wanted, ".safetensors", ".bin"))]
    return find_file(family.ip_adapter_model, names, "the image adapter", inside)


def find_image_encoder(family: Family) -> Path:
    """The weights of the CLIP that the adapter hears."""
    return find_weights(family.ip_adapter_model, IMAGE_ENCODER, family.ip_adapter_folder)[0]


def find_tokenizer(family: Family, text_encoder: str) -> Path:
    """A file of the tokenizer that goes with one of `family.text_encoders`."""
    folder = text_encoder.replace("text_encoder", "tokenizer")
    return find_file(family.base_model, (f"{folder}/tokenizer_config.json", f"{folder}/vocab.json"))
