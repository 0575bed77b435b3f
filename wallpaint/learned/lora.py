"""Read a LoRA, in diffusers' layout, Kohya's or peft's, as a peft adapter of the UNet."""

import json
import re
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.utils import convert_unet_state_dict_to_peft
from peft import LoraConfig
from safetensors.torch import load_file

from wallpaint.errors import UserError, reason_of
from wallpaint.learned.lora_files import (
    ADAPTER,
    DOWN,
    MAGNITUDE,
    OWN,
    STRENGTH,
    UP,
    LoraFile,
    common_name,
    describe_lora,
    is_peft,
    read_config,
    read_header,
)

PREFIX = r"^(unet|base_model\.model)\."
NO_FACTOR = rf"{STRENGTH}|{MAGNITUDE}"
METADATA = "lora_adapter_metadata"  # where diffusers keeps rank and alpha
State = dict[str, torch.Tensor]


def load_lora(unet: UNet2DConditionModel, path: Path, name: str) -> LoraFile:
    """Load a LoRA as the peft adapter `name`, frozen and in float32; what of it is left out is said.

    Raises:
        UserError: the file cannot be read, is no LoRA of a UNet, or was trained on another model.
    """
    described, state, metadata = read_lora(path, unet.config)
    if described.kind != "DoRA" and not any(value.float().any() for key, value in state.items() if "lora_B" in key):
        described = replace(described, left_out=(*described.left_out, "all for the UNet: zeros, which change nothing"))
    state = _fitted(unet, state, path, described)
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
        raise UserError(f"LoRA {path} cannot be loaded ({reason_of(error)}): save it again") from None
    for parameter in loaded.values():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(False)
    return described


def read_lora(path: Path, unet_config: Any = None) -> tuple[LoraFile, State, dict[str, Any] | None]:
    """What a file is, its UNet's LoRA in peft's names (`<layer>.lora_A.weight`), and what diffusers says of it.

    Alphas are multiplied into the factors up; a layer without one is of scale 1, as Kohya's trainers have it. The
    UNet's config is for layers that are numbered as in the original code.

    Raises:
        UserError: it cannot be read, or is no LoRA of a UNet.
    """
    described = describe_lora(path)
    if described.kind == ADAPTER:
        raise UserError(f"{path} is an image adapter and holds no LoRA: give a LoRA")
    try:
        tensors = load_tensors(path)
        config = read_config(path) if any(map(is_peft, tensors)) else {}
        metadata = None if described.kohya else lora_metadata(path, "unet.")
        if (config or metadata or {}).get("use_dora") and described.kind != "DoRA":
            raise ValueError("it is a DoRA whose magnitudes are missing")
        metadata = metadata and metadata | {"use_dora": False}  # its magnitudes are merged, see merged.py
        if newer := sorted((metadata or {}).keys() - {f.name for f in fields(LoraConfig)}):
            metadata = {key: value for key, value in (metadata or {}).items() if key not in newer}
            left_out = f"settings of a newer peft ({', '.join(newer)[:80]})"
            described = replace(described, left_out=(*described.left_out, left_out))
        if metadata and any(key.endswith(".alpha") for key in tensors):  # both tell the strength
            config, metadata = metadata, None
        state = _to_peft(_scaled_factors(tensors, config), unet_config)
    except Exception as error:  # unknown names, metadata that is none: as many kinds as loaders
        raise UserError(
            f"LoRA {path} cannot be read ({reason_of(error)}): give a LoRA saved as .safetensors"
        ) from None
    bad = next((key for key, value in state.items() if not torch.isfinite(value.float()).all()), None)
    if bad:
        raise UserError(f"LoRA {path} holds values that are no numbers (in {bad[:80]}): train it again")
    return described, state, metadata


def _scaled_factors(tensors: State, config: dict[str, Any]) -> State:
    """The UNet's factors of a LoRA, those up as strong as their alphas say."""
    factors = {key: v for key, v in tensors.items() if re.match(OWN, key) and not re.search(NO_FACTOR, key)}
    for key in [key for key in factors if re.search(UP, key)]:
        layer, rank = re.sub(UP, "", key).rstrip("."), factors[key].shape[1]
        alpha = tensors.get(f"{layer}.alpha")
        scale = scale_of(config, re.sub(PREFIX, "", layer), rank) if alpha is None else float(alpha) / rank
        if config and alpha is not None and scale != scale_of(config, re.sub(PREFIX, "", layer), rank):
            raise ValueError(f"{layer[:80]} has two alphas")
        scale *= float(tensors.get(f"{layer}.scalar", 1))
        factors[key] = factors[key] if scale == 1 else factors[key].float() * scale
    return factors


def lora_metadata(path: Path, part: str) -> dict[str, Any] | None:
    """The peft LoraConfig that diffusers' header has of a LoRA's `part`, 'unet.' or 'text_encoder.'; None: none."""
    found = json.loads(read_header(path)[1].get(METADATA, "{}"))
    if part == "unet." and "r" in found:  # as a UNet alone saves it
        return dict(found)
    return {key.removeprefix(part): value for key, value in found.items() if key.startswith(part)} or None


def load_tensors(path: Path) -> State:
    """A LoRA's tensors by their `common_name`; ValueError where its factors are whole numbers, as if quantized."""
    tensors = {common_name(key): value for key, value in load_file(path).items()}
    for key, value in tensors.items():
        if re.search(f"{DOWN}|{UP}", key) and not value.is_floating_point():
            raise ValueError(f"{key[:80]} holds {value.dtype}, no fractions")
    return tensors


def scale_of(config: dict[str, Any], layer: str, rank: int) -> float:
    """How strong a layer's LoRA is by a peft LoraConfig; 1 where it says nothing."""
    patterns = config.get("alpha_pattern") or {}
    own = (alpha for pattern, alpha in patterns.items() if re.fullmatch(rf"(.*\.)?({pattern})", layer))
    alpha = next(own, config.get("lora_alpha"))
    return float(rank if alpha is None else alpha) / (rank**0.5 if config.get("use_rslora") else rank)


def read_magnitudes(path: Path, unet_config: Any) -> State:
    """The magnitudes of a DoRA by the UNet's layers: (out[, 1…]), or LyCORIS's (1, in[, 1…])."""
    found = {
        key: value for key, value in load_tensors(path).items() if re.match(OWN, key) and re.search(MAGNITUDE, key)
    }
    found = {key: v if key.endswith("dora_scale") else v.flatten() for key, v in found.items()}  # peft's are by output
    ends = ("lora_down", "lora_up") if any(key.startswith("lora_unet_") for key in found) else ("lora_A", "lora_B")
    pairs = {re.sub(MAGNITUDE, f".{end}.weight", key): v for key, v in found.items() for end in ends}
    layers = _to_peft(pairs, unet_config)
    return {key.removesuffix(".lora_A.weight"): value for key, value in layers.items() if "lora_A" in key}


def _to_peft(state: State, unet_config: Any) -> State:
    """A UNet's LoRA in peft's names; some layers may be named in Kohya's way and some in another."""
    named: list[tuple[str, torch.Tensor]] = []
    for kohya in (True, False):
        if part := {key: value for key, value in state.items() if key.startswith("lora_unet_") == kohya}:
            found, _ = StableDiffusionInpaintPipeline.lora_state_dict(part, unet_config=unet_config if kohya else None)
            named += [(re.sub(PREFIX, "", key), value) for key, value in found.items()]
    state = dict(named)
    if len(state) < len(named):
        raise ValueError("it names a layer twice, in two layouts")
    state = {key.replace(".lora_down.", ".lora_A.").replace(".lora_up.", ".lora_B."): v for key, v in state.items()}
    return convert_unet_state_dict_to_peft(state)


def _fitted(unet: UNet2DConditionModel, state: State, path: Path, described: LoraFile) -> State:
    """The factors in the form of their layers: tools write those of a 1x1 convolution as (out, in), and the reverse.

    Raises:
        UserError: one sits on no layer of this UNet, or has another width.
    """
    layers, fitted = dict(unet.named_modules()), dict(state)
    remedy = f"compare it with --family {described.family}" if described.family else "give one of the same family"
    for key, value in state.items():
        name, _, end = key.partition(".lora_")
        layer = layers.get(name)
        weight = getattr(getattr(layer, "base_layer", layer), "weight", None)
        side = 1 if end.startswith("A") else 0
        wanted = weight.shape[side] if isinstance(weight, torch.Tensor) else None
        if name == "conv_in" and side and wanted and value.ndim == 4 and value.shape[1] == 4:
            # It learned on a model that sees neither the mask nor the masked picture.
            value = fitted[key] = torch.nn.functional.pad(value, (0, 0, 0, 0, 0, wanted - 4))
        if value.ndim > 1 and wanted != value.shape[side]:
            raise UserError(
                f"LoRA {path} does not fit this model ({name[:80]} is {wanted or 'not there'}, the LoRA's is "
                f"{value.shape[side]}): {remedy}"
            )
        if value.ndim > 1 and value[0, 0].numel() == 1 and isinstance(weight, torch.Tensor):
            fitted[key] = value.reshape(*value.shape[:2], *[1] * (weight.ndim - 2))
    return fitted
