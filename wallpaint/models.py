"""The families of models and their frozen encoders.

A family is a row of FAMILIES, never a branch in the code. Every id may be a local folder. Nothing is ever
downloaded here: what is missing is named, with where it was looked for and the command that fetches it.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.utils import validate_repo_id
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection
from transformers.utils import logging as transformers_logging

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "models"


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
    dinov2: str
    paint_by_example: str


def family_folder(name: str) -> Path:
    """Where a family that lives in the repository is kept."""
    return ASSETS / name


FAMILIES: dict[str, Family] = {
    "room-tiny": Family(
        name="room-tiny",
        base_model=str(family_folder("room-tiny")),
        ip_adapter_model="ip_adapter",
        ip_adapter_weight_name="ip-adapter-plus_room-tiny.safetensors",
        resolution=128,
        multiple=8,
        mask_growth=2,
        num_inference_steps=20,
        guidance_scale=2.0,
        sam="sam.json",
        dinov2="dinov2",
        paint_by_example="",
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
        dinov2="facebook/dinov2-large",
        paint_by_example="Fantasy-Studio/Paint-by-Example",
    ),
}


@dataclass(frozen=True)
class Runtime:
    """Where the models run, in which arithmetic, and why."""

    device: torch.device
    weight_dtype: torch.dtype  # of what is frozen; what learns is always float32
    reason: str

    @property
    def mixed_precision(self) -> str:
        """The name accelerate has for it."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self.weight_dtype, "no")


def pick_runtime(device: str = "auto", mixed_precision: str = "auto") -> Runtime:
    """Choose the device and the dtype once; the reason is for the log.

    Raises:
        ValueError: a GPU was asked for and there is none, or half precision on a CPU without need.
    """
    found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device not in ("auto", "cpu") and device != found:
        raise ValueError(
            f"device {device} was asked for but torch finds {found} here: choose auto or {found}"
        )
    kind = found if device == "auto" else device
    dtypes = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if mixed_precision != "auto":
        return Runtime(torch.device(kind), dtypes[mixed_precision], f"{kind}, {mixed_precision} as asked")
    if kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return Runtime(torch.device(kind), torch.bfloat16, f"{torch.cuda.get_device_name()} computes in bf16")
    if kind == "cuda":
        return Runtime(torch.device(kind), torch.float16, f"{torch.cuda.get_device_name()} has no bf16")
    return Runtime(torch.device(kind), torch.float32, f"{kind} is fastest and exact in float32")


@dataclass(frozen=True)
class Models:
    """One family, loaded and frozen.

    The adapter's processors sit in the UNet. Its Resampler is kept beside it as `image_proj`, and the UNet
    takes image tokens as they are, so that tokens of a frozen adapter can be cached (the difference is 0).
    """

    family: Family
    runtime: Runtime
    vae: AutoencoderKL  # always float32: half precision overflows in SD's VAE
    unet: UNet2DConditionModel
    image_proj: nn.Module  # (B, S, D) states of the image encoder -> (B, T, E) image tokens
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModelWithProjection
    image_processor: CLIPImageProcessor
    noise_scheduler: DDIMScheduler
    fingerprint: str  # of the encoders' files: cached encodings are valid for this only

    @property
    def latent_factor(self) -> int:
        """Pixels a latent, a side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)


def resolve_family(name: str, **overrides: Any) -> Family:
    """The family's row with `base_model`, `resolution` and so on replaced where an override is not empty."""
    if name not in FAMILIES:
        raise ValueError(f"family {name!r} does not exist: choose {' or '.join(FAMILIES)}")
    family = replace(FAMILIES[name], **{key: value for key, value in overrides.items() if value})
    inside = Path(family.base_model) / family.ip_adapter_model
    return replace(family, ip_adapter_model=str(inside)) if inside.is_dir() else family


def load_models(family_name: str, runtime: Runtime | None = None, **overrides: Any) -> Models:
    """Load every model of a family, frozen and in eval mode.

    Args:
        family_name: a key of FAMILIES.
        runtime: device and dtype; None picks them.
        overrides: fields of Family to replace; empty values leave the family's own.

    Raises:
        ValueError: an unknown family, or a file that is neither in the folder nor in the hub's cache.
    """
    family, runtime = resolve_family(family_name, **overrides), runtime or pick_runtime()
    base, adapter = family.base_model, family.ip_adapter_model
    diffusers_logging.set_verbosity_error()  # they draw a progress bar a module and warn of nothing
    transformers_logging.disable_progress_bar()
    _find(base, "model_index.json", f"family {family.name}")
    adapter_file = find_adapter(family)
    vae = _load(AutoencoderKL, base, "vae", torch.float32)
    unet = _load(UNet2DConditionModel, base, "unet", runtime.weight_dtype)
    text_encoder = _load(CLIPTextModel, base, "text_encoder", runtime.weight_dtype)
    image_encoder = _load(
        CLIPVisionModelWithProjection, adapter, "models/image_encoder", runtime.weight_dtype
    )
    tokenizer_file = _find(base, ("tokenizer/tokenizer_config.json", "tokenizer/vocab.json"))
    image_proj = _attach_adapter(unet, read_adapter(adapter_file))
    size = image_encoder.config.image_size  # as diffusers' own load_ip_adapter makes it
    scheduler = DDIMScheduler.from_pretrained(_find(base, "scheduler/scheduler_config.json").parent)
    modules = (vae, unet, image_proj, text_encoder, image_encoder)
    for module in modules:
        module.requires_grad_(False).eval().to(runtime.device)
    vae.to(memory_format=torch.channels_last)  # convolutions take half the time on a CPU
    files = [_weights(base, "vae")[0], _weights(base, "text_encoder")[0], adapter_file,
             _weights(adapter, "models/image_encoder")[0]]  # fmt: skip
    return Models(
        family, runtime, vae, unet, image_proj.to(runtime.weight_dtype), text_encoder,
        CLIPTokenizer.from_pretrained(tokenizer_file.parent), image_encoder,
        CLIPImageProcessor(size=size, crop_size=size), scheduler, _fingerprint(files),
    )  # fmt: skip


def encode_text(models: Models, texts: list[str]) -> torch.Tensor:
    """Texts to (N, L, D), as the stock pipeline encodes them; '' is the empty prompt of guidance."""
    ids = models.tokenizer(
        texts, padding="max_length", max_length=models.tokenizer.model_max_length, truncation=True,
        return_tensors="pt",
    ).input_ids  # fmt: skip
    with torch.no_grad():
        return models.text_encoder(ids.to(models.runtime.device))[0]


def encode_references(models: Models, images: list[Image.Image | None]) -> torch.Tensor:
    """Reference pictures to the image encoder's states (N, S, D); None is the null image.

    IP-Adapter-Plus reads `hidden_states[-2]`, and its null image is what the encoder says to zero pixels,
    not zeros in place of its states.
    """
    size = models.image_encoder.config.image_size
    zeros = torch.zeros(3, size, size)
    pixels = [
        zeros if i is None else models.image_processor(i, return_tensors="pt").pixel_values[0] for i in images
    ]
    with torch.no_grad():
        batch = torch.stack(pixels).to(models.runtime.device, models.runtime.weight_dtype)
        return models.image_encoder(batch, output_hidden_states=True).hidden_states[-2]


def set_ip_adapter_scale(unet: UNet2DConditionModel, scale: float) -> None:
    """How strongly the image tokens act; at 0 the UNet is exactly what it is without an adapter."""
    for processor in unet.attn_processors.values():
        if hasattr(processor, "to_k_ip"):
            processor.scale = [scale]


def find_adapter(family: Family) -> Path:
    """The adapter's file; a `.bin` asked for is also found as `.safetensors` and the other way round."""
    stem = Path(family.ip_adapter_weight_name).with_suffix("")
    wanted = Path(family.ip_adapter_weight_name).suffix
    names = [f"models/{stem}{suffix}" for suffix in dict.fromkeys((wanted, ".safetensors", ".bin"))]
    return _find(family.ip_adapter_model, names, "the image adapter")


def read_adapter(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    """An adapter in the h94 layout: {'image_proj': {...}, 'ip_adapter': {...}}.

    Raises:
        ValueError: the file holds no such adapter, or cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            groups: dict[str, dict[str, torch.Tensor]] = {}
            for key, value in load_file(path).items():
                group, _, name = key.partition(".")
                groups.setdefault(group, {})[name] = value
        else:
            groups = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"adapter {path} cannot be read ({' '.join(str(error).split())}): fetch it again"
        ) from None
    if set(groups) != {"image_proj", "ip_adapter"} or "latents" not in groups["image_proj"]:
        raise ValueError(f"{path} is no IP-Adapter-Plus in the h94 layout: give an ip-adapter-plus file")
    return groups


def _attach_adapter(unet: UNet2DConditionModel, adapter: dict[str, dict[str, torch.Tensor]]) -> nn.Module:
    """Load the adapter into the UNet and take its Resampler out again."""
    try:
        unet._load_ip_adapter_weights([adapter])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"the image adapter does not fit this UNet ({str(error).splitlines()[0]}): "
                         "give the adapter of the same family") from None  # fmt: skip
    layers = unet.encoder_hid_proj.image_projection_layers
    image_proj, layers[0] = layers[0], nn.Identity()
    return image_proj


def _load(kind: Any, source: str, folder: str, dtype: torch.dtype) -> nn.Module:
    """One module from `source/folder`, whichever of its usual files is there."""
    weights, variant = _weights(source, folder)
    config = _find(source, f"{folder}/config.json")
    options = {
        "variant": variant,
        "use_safetensors": weights.suffix == ".safetensors",
        "local_files_only": True,
    }
    options["dtype" if kind.__module__.startswith("transformers") else "torch_dtype"] = dtype
    return kind.from_pretrained(config.parent, **options)


def _weights(source: str, folder: str) -> tuple[Path, str | None]:
    stem = "diffusion_pytorch_model" if folder in ("vae", "unet") else "model"
    names = [f"{folder}/{stem}{end}" for end in (".safetensors", ".fp16.safetensors", ".bin")]
    found = _find(source, [*names, f"{folder}/pytorch_model.bin"])
    return found, "fp16" if ".fp16." in found.name else None


def _find(source: str, names: str | list[str] | tuple[str, ...], what: str = "") -> Path:
    """The first of `names` in the folder `source`, or in the hub's cache of the repository `source`."""
    names = [names] if isinstance(names, str) else names
    folder = Path(source).expanduser()
    for name in names:
        if (folder / name).is_file():
            return folder / name
    looked, remedy = f"in {folder}", f"check that {folder} is a whole model folder"
    if source == FAMILIES["room-tiny"].base_model or source.startswith(str(ASSETS)):
        remedy = "restore it with `git checkout -- assets/models` or make it with `python -m wallpaint.tiny`"
    elif not folder.is_absolute() and not folder.is_dir() and _is_hub_id(source):
        for name in names:
            cached = try_to_load_from_cache(source, name)
            if isinstance(cached, str):
                return Path(cached)
        looked = f"in ./{source} and in the Hugging Face cache {HF_HUB_CACHE}"
        remedy = f"fetch it with `hf download {source}`"
    label = f"{names[0]} of {what or source}"
    raise ValueError(f"{label} is missing (looked {looked}): {remedy}")


def _is_hub_id(source: str) -> bool:
    try:
        validate_repo_id(source)
    except ValueError:
        return False
    return "/" in source


def _fingerprint(files: list[Path]) -> str:
    """A hash of the files' contents; of big ones, size and time stand for the content."""
    digest = hashlib.sha256()
    for path in files:
        stat = path.stat()
        small = stat.st_size < 1 << 26
        digest.update(
            path.read_bytes() if small else f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode()
        )
    return digest.hexdigest()[:16]
