"""LoRAs that are more than two factors a layer of the UNet: DoRAs, and halves for text encoders.

They are merged: weights that take the place of the model's own while their arm paints.
"""

import re
import warnings
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from wallpaint.errors import UserError, reason_of
from wallpaint.learned.lora import load_tensors, lora_metadata, read_magnitudes, scale_of
from wallpaint.learned.lora_files import DOWN, MAGNITUDE, TEXT, TEXT_OWN, UP
from wallpaint.models.bundle import Models

Merged = dict[nn.Module, torch.Tensor]  # layer -> the weight that takes the place of its own
ENDS = {"down": DOWN, "up": UP, "alpha": r"\.alpha$", "scalar": r"\.scalar$", "magnitude": MAGNITUDE}


def merge_dora(models: Models, path: Path, adapter: str) -> Merged:
    """The UNet's weights with a DoRA; its factors are the peft adapter `adapter`, which is taken off again."""
    merged, magnitudes = {}, read_magnitudes(path, models.unet.config)
    for name, layer in models.unet.named_modules():
        if isinstance(layer, LoraLayer) and adapter in layer.lora_A:
            base = layer.base_layer
            merged[base] = _with_lora(base, layer.get_delta_weight(adapter), magnitudes.get(name), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft tells which adapter is active now; each sample has its own here
        models.unet.delete_adapters(adapter)
    return merged


def merge_text(models: Models, path: Path) -> Merged:
    """The text encoders' weights with a LoRA's half for them, DoRA or not.

    Raises:
        UserError: a layer is not there, or of another size.
    """
    encoders = {"": models.text_encoder, "2": models.text_encoder_2}
    layers: dict[str, dict[str, nn.Module]] = {
        number: {name.replace(".", "_").removeprefix("text_model_"): layer for name, layer in encoder.named_modules()}
        for number, encoder in encoders.items()
        if encoder is not None
    }
    names = {layer: name for encoder in encoders.values() if encoder for name, layer in encoder.named_modules()}
    merged: Merged = {}
    for (number, name), part in _text_parts(path).items():
        layer = layers.get(number, {}).get(name)
        try:
            up, down = (part[end].float().flatten(1) for end in ("up", "down"))
            if layer is None or layer.weight.shape != (len(up), down.shape[1]):
                raise ValueError("no such layer, or of another size")
            settings = lora_metadata(path, f"text_encoder{number and '_' + number}.") or {}
            dotted = f"text_model.{names[layer].removeprefix('text_model.')}"  # as the patterns of alphas have it
            scale = float(part["alpha"]) / len(down) if "alpha" in part else scale_of(settings, dotted, len(down))
            delta = up @ down * scale * float(part.get("scalar", 1))
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:  # whatever stands there
            reason = f"{name[:80]}: {reason_of(error)}"
            raise UserError(f"LoRA {path} does not fit this model's text encoder ({reason}): give another") from None
        merged[layer] = _with_lora(layer, delta, part.get("magnitude"), path)
    return merged


def _text_parts(path: Path) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """The tensors of a LoRA's half for text encoders: by `_place`, by ENDS."""
    parts: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for key, value in load_tensors(path).items():
        if re.match(TEXT_OWN, key):
            end = next(end for end, pattern in ENDS.items() if re.search(pattern, key))
            parts.setdefault(_place(re.sub(ENDS[end], "", key)), {})[end] = value
    return parts


def _place(name: str) -> tuple[str, str]:
    """Which text encoder and which of its layers a LoRA's key names: ('2', 'encoder_layers_0_mlp_fc1')."""
    start = re.match(TEXT, name)
    assert start is not None
    layer = re.sub(r"(_lora)?[._]*$", "", name[start.end() :])
    layer = re.sub(r"\bto_(q|k|v|out)$", r"\1_proj", layer)
    return "2" * bool(re.search("2|clip_g", start[0])), layer.replace(".", "_").removeprefix("text_model_")


def _with_lora(layer: nn.Module, delta: torch.Tensor, magnitude: torch.Tensor | None, path: Path) -> torch.Tensor:
    """A layer's weight with what a LoRA adds, in the weight's dtype.

    For a DoRA (arXiv 2402.09353, eq. 5) the weight's vectors are scaled to the lengths `magnitude`, whose axes of
    size 1 lie along the vectors; LyCORIS has them along either side.
    """
    own = layer.weight
    weight = own.float() + delta.to(own.device, torch.float32).view(own.shape)
    if magnitude is not None:
        length = magnitude.to(weight)
        length = length.reshape(*length.shape, *[1] * (weight.ndim - length.ndim))
        along = [axis for axis, size in enumerate(length.shape) if size == 1]
        if length.ndim > weight.ndim or not all(a in (1, b) for a, b in zip(length.shape, weight.shape, strict=True)):
            raise UserError(f"LoRA {path} is broken (magnitudes {tuple(magnitude.shape)}): save it again")
        norm = torch.linalg.vector_norm(weight, dim=along, keepdim=True)
        weight = weight * (length / norm.clamp(min=torch.finfo(torch.float32).eps))
    if not torch.isfinite(weight).all():
        raise UserError(f"LoRA {path} holds values that are no numbers: train it again")
    return weight.to(own.dtype)
