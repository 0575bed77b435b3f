"""What was learned, saved and loaded in the layouts that other tools read. safetensors only.

LoRA: diffusers' `pytorch_lora_weights.safetensors`, with rank and alpha in its metadata, so that a stock
`pipe.load_lora_weights(folder)` gives the same picture. IP-Adapter: the h94 layout, so that a stock
`pipe.load_ip_adapter` reads it.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_unet_state_dict_to_peft
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from wallpaint.images import atomic_path
from wallpaint.models import Models, read_adapter

LORA_NAME = "pytorch_lora_weights.safetensors"
ADAPTER_NAME = "ip_adapter.safetensors"
RENAMES = (  # diffusers' Resampler -> h94's, https://github.com/tencent-ailab/IP-Adapter resampler.py
    (".ln0.", ".0.norm1."),
    (".ln1.", ".0.norm2."),
    (".attn.to_q.", ".0.to_q."),
    (".attn.to_out.0.", ".0.to_out."),
    (".ff.0.", ".1.0."),
    (".ff.1.net.0.proj.", ".1.1."),
    (".ff.1.net.2.", ".1.3."),
)
Adapter = dict[str, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class ArmFiles:
    """Where an arm's learned weights are; None for what it does not have."""

    lora: Path | None
    adapter: Path | None


def save_weights(folder: str | Path, models: Models, learns: tuple[str, ...]) -> None:
    """Write `learns` ('lora', 'ip_adapter') to `folder`, each file whole or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if "lora" in learns:
        state = {
            key: value.detach().float().cpu() for key, value in get_peft_model_state_dict(models.unet).items()
        }
        with atomic_path(folder / LORA_NAME) as path:
            StableDiffusionInpaintPipeline.save_lora_weights(
                path.parent, state, weight_name=path.name, **_collate_lora_metadata({"unet": models.unet})
            )
    if "ip_adapter" in learns:
        groups = adapter_state(models)
        flat = {
            f"{g}.{k}": v.float().cpu().contiguous() for g, state in groups.items() for k, v in state.items()
        }
        with atomic_path(folder / ADAPTER_NAME) as path:
            save_file(flat, path)


def find_arm(path: str | Path) -> ArmFiles:
    """The learned files of a run folder, of a weights folder, or a `.safetensors` file itself.

    Raises:
        ValueError: there are none.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise ValueError(f"{path} is not a .safetensors file: give one, or a run folder")
        return ArmFiles(None, path) if _is_adapter(path) else ArmFiles(path, None)
    for folder in (path / "weights", path):
        lora, adapter = folder / LORA_NAME, folder / ADAPTER_NAME
        if lora.is_file() or adapter.is_file():
            return ArmFiles(lora if lora.is_file() else None, adapter if adapter.is_file() else None)
    raise ValueError(f"no learned weights in {path} (looked for {LORA_NAME} and {ADAPTER_NAME}): "
                     "give a run folder whose training has saved some, or a .safetensors file")  # fmt: skip


def load_lora(unet: UNet2DConditionModel, path: Path, name: str) -> None:
    """Load a LoRA (diffusers' layout, or Kohya's) as the peft adapter `name`, frozen.

    Raises:
        ValueError: the file cannot be read, is no LoRA of a UNet, or was trained on another model.
    """
    try:
        state, alphas, metadata = StableDiffusionInpaintPipeline.lora_state_dict(
            path.parent, weight_name=path.name, unet_config=unet.config, use_safetensors=True,
            return_lora_metadata=True, local_files_only=True,
        )  # fmt: skip
    except (
        Exception
    ) as error:  # a broken header, a pickle in disguise, unknown keys: as many kinds as loaders
        reason = " ".join(str(error).split())
        raise ValueError(
            f"LoRA {path} cannot be read ({reason}): give a LoRA saved as .safetensors"
        ) from None
    _check_lora(unet, state, path)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # peft wonders at a second adapter; several arms are what we are here for
        unet.load_lora_adapter(
            state, prefix="unet", network_alphas=alphas, adapter_name=name, metadata=metadata
        )
    for key, parameter in unet.named_parameters():
        if f".{name}." in key:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(False)


def start_from(models: Models, path: str | Path, learns: tuple[str, ...]) -> None:
    """Let what learns begin at an earlier run's weights.

    Raises:
        ValueError: there are none, or they are of another rank or family.
    """
    files = find_arm(path)
    if "lora" in learns and files.lora:
        own = get_peft_model_state_dict(models.unet)
        state = {key.removeprefix("unet."): value for key, value in load_file(files.lora).items()}
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError(
                f"init_from {files.lora} has another rank or family: set lora_rank as it was trained"
            )
        set_peft_model_state_dict(models.unet, state)
    if "ip_adapter" in learns and files.adapter:
        load_adapter(models, read_adapter(files.adapter), f"init_from {files.adapter}")


def adapter_state(models: Models) -> Adapter:
    """The adapter as it is now, in the h94 layout, copied."""
    state, image_proj = models.image_proj.state_dict(), {}
    for key, value in state.items():
        if ".attn.to_v." in key:
            continue
        if ".attn.to_k." in key:
            value = torch.cat([value, state[key.replace("to_k", "to_v")]])
            key = key.replace(".attn.to_k.", ".0.to_kv.")
        for ours, theirs in RENAMES:
            key = key.replace(ours, theirs)
        image_proj[key] = value.detach().clone()
    heads = {key: parameter.detach().clone() for key, parameter in _heads(models.unet).items()}
    return {"image_proj": image_proj, "ip_adapter": heads}


def load_adapter(models: Models, adapter: Adapter, source: str = "the adapter") -> None:
    """Put an h94 adapter in the place of the one the models hold.

    Raises:
        ValueError: it is of another size.
    """
    heads = _heads(models.unet)
    try:
        layer = models.unet._convert_ip_adapter_image_proj_to_diffusers(adapter["image_proj"])
        models.image_proj.load_state_dict(layer.state_dict())
        if adapter["ip_adapter"].keys() != heads.keys():
            raise ValueError("other layers")
        for key, parameter in heads.items():
            if parameter.shape != adapter["ip_adapter"][key].shape:
                raise ValueError(
                    f"{key} is {tuple(adapter['ip_adapter'][key].shape)}, not {tuple(parameter.shape)}"
                )
            parameter.data.copy_(adapter["ip_adapter"][key])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{source} does not fit family {models.family.name} ({str(error).splitlines()[0]}): "
                         "give one trained on it") from None  # fmt: skip


def load_arm(models: Models, path: str | Path, name: str) -> tuple[str | None, Adapter | None]:
    """Load an arm's LoRA into the UNet as `name` and read its adapter, which is not put in place.

    Returns:
        the LoRA's name (None if it has none) and its own adapter (None if it uses the family's).
    """
    files = find_arm(path)
    adapter = read_adapter(files.adapter) if files.adapter else None
    if files.lora is None:
        return None, adapter
    load_lora(models.unet, files.lora, name)
    return name, adapter


def _heads(unet: UNet2DConditionModel) -> dict[str, torch.nn.Parameter]:
    """The adapter's keys and values under h94's names: 1, 3, 5, … in the order of `attn_processors`."""
    processors = [p for key, p in unet.attn_processors.items() if key.endswith("attn2.processor")]
    named = {}
    for index, processor in enumerate(processors):
        named[f"{2 * index + 1}.to_k_ip.weight"] = processor.to_k_ip[0].weight
        named[f"{2 * index + 1}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    return named


def _is_adapter(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return any(key.startswith("ip_adapter.") for key in file.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())}): save it again") from None


def _check_lora(unet: UNet2DConditionModel, state: dict[str, torch.Tensor], path: Path) -> None:
    """Every LoRA pair has to sit on a layer of this UNet and have its width."""
    pairs = {key.removeprefix("unet."): value for key, value in state.items() if key.startswith("unet.")}
    pairs = {k: v for k, v in convert_unet_state_dict_to_peft(pairs).items() if v.ndim >= 2}
    if not pairs:
        raise ValueError(f"{path} holds no LoRA of a UNet: give a LoRA saved as .safetensors")
    layers = dict(unet.named_modules())
    for key, value in pairs.items():
        name, _, end = key.partition(".lora")
        layer = layers.get(name)
        layer = getattr(layer, "base_layer", layer)
        down = end.startswith("_A")
        wanted = None if layer is None else layer.weight.shape[1 if down else 0]
        if wanted != value.shape[1 if down else 0]:
            raise ValueError(
                f"LoRA {path} does not fit this model ({name} is {wanted or 'not there'}, the LoRA's is "
                f"{value.shape[1 if down else 0]}): give one trained on the same family"
            )
