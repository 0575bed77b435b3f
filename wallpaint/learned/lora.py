"""Read a LoRA, in diffusers' layout, Kohya's or peft's, as a peft adapter of the UNet."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.utils import convert_unet_state_dict_to_peft
from safetensors.torch import load_file

from wallpaint.errors import UserError
from wallpaint.learned.lora_files import ADAPTER, OWN, LoraFile, describe_lora, read_header

METADATA = "lora_adapter_metadata"  # where diffusers keeps rank and alpha
State = dict[str, torch.Tensor]


def load_lora(unet: UNet2DConditionModel, path: Path, name: str) -> LoraFile:
    """Load a LoRA as the peft adapter `name`, frozen and in float32; what of it is left out is said.

    Raises:
        UserError: the file cannot be read, is no LoRA of a UNet, or was trained on another model.
    """
    described, state, metadata = read_lora(path, unet.config)
    _check_fit(unet, state, path, described)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft wonders at a second adapter; several arms are what we are here for
            unet.load_lora_adapter(state, prefix=None, adapter_name=name, metadata=metadata)
        loaded = {key: value for key, value in unet.named_parameters() if f".{name}." in key}
        if len(loaded) != len(state):
            raise ValueError(f"{len(loaded)} of {len(state)} tensors found a layer")
    except Exception as error:  # as many kinds as loaders
        if name in getattr(unet, "peft_config", {}):
            unet.delete_adapters(name)
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"LoRA {path} cannot be loaded ({reason}): save it again") from None
    for parameter in loaded.values():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(False)
    return described


def read_lora(path: Path, unet_config: Any = None) -> tuple[LoraFile, State, dict[str, Any] | None]:
    """What a file is, its UNet's LoRA in peft's names (`<layer>.lora_A.weight`), and what diffusers says of it.

    Kohya's alphas are multiplied into the factors up; a layer without one is of scale 1, as its trainers have it.

    Args:
        path: the file.
        unet_config: of the UNet it goes to, for layers that are numbered as in the original code.

    Raises:
        UserError: it cannot be read, or is no LoRA of a UNet.
    """
    described, metadata = describe_lora(path), None
    if described.kind == ADAPTER:
        raise UserError(f"{path} is an image adapter and holds no LoRA: give a LoRA")
    try:
        tensors = load_file(path)
        state = {key: value for key, value in tensors.items() if re.match(OWN, key) and not key.endswith(".alpha")}
        if described.kohya:
            for key in [key for key in state if "lora_up" in key]:
                alpha = tensors.get(key.split(".")[0] + ".alpha")
                if alpha is not None:
                    state[key] = state[key].float() * (float(alpha) / state[key].shape[1])
            state, _ = StableDiffusionInpaintPipeline.lora_state_dict(state, unet_config=unet_config)
        elif METADATA in (words := read_header(path)[1]):
            found = json.loads(words[METADATA])
            metadata = {key.removeprefix("unet."): value for key, value in found.items() if key.startswith("unet.")}
        state = {re.sub(r"^(unet|base_model\.model)\.", "", key): value for key, value in state.items()}
        state = convert_unet_state_dict_to_peft(state)
    except Exception as error:  # unknown names, metadata that is none: as many kinds as loaders
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"LoRA {path} cannot be read ({reason}): give a LoRA saved as .safetensors") from None
    bad = next((key for key, value in state.items() if not torch.isfinite(value.float()).all()), None)
    if bad:
        raise UserError(f"LoRA {path} holds values that are no numbers (in {bad[:80]}): train it again")
    return described, state, metadata or None


def _check_fit(unet: UNet2DConditionModel, state: State, path: Path, described: LoraFile) -> None:
    """Every LoRA pair has to sit on a layer of this UNet and have its width."""
    layers = dict(unet.named_modules())
    remedy = f"compare it with --family {described.family}" if described.family else "give one of the same family"
    for key, value in state.items():
        name, _, end = key.partition(".lora_")
        layer = layers.get(name)
        weight = getattr(getattr(layer, "base_layer", layer), "weight", None)
        side = 1 if end.startswith("A") else 0
        wanted = weight.shape[side] if isinstance(weight, torch.Tensor) else None
        if value.ndim > 1 and wanted != value.shape[side]:
            raise UserError(
                f"LoRA {path} does not fit this model ({name[:80]} is {wanted or 'not there'}, the LoRA's is "
                f"{value.shape[side]}): {remedy}"
            )
