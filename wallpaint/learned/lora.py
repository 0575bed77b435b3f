"""Read a LoRA, in diffusers' layout or Kohya's, as a peft adapter of the UNet."""

import warnings
from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel
from diffusers.utils import convert_unet_state_dict_to_peft

from wallpaint.errors import UserError


def load_lora(unet: UNet2DConditionModel, path: Path, name: str) -> None:
    """Load a LoRA (diffusers' layout, or Kohya's) as the peft adapter `name`, frozen.

    Raises:
        UserError: the file cannot be read, is no LoRA of a UNet, or was trained on another model.
    """
    try:
        state, alphas, metadata = StableDiffusionInpaintPipeline.lora_state_dict(
            path.parent,
            weight_name=path.name,
            unet_config=unet.config,
            use_safetensors=True,
            return_lora_metadata=True,
            local_files_only=True,
        )
    except Exception as error:  # a broken header, a pickle in disguise, unknown keys: as many kinds as loaders
        reason = " ".join(str(error).split())
        raise UserError(f"LoRA {path} cannot be read ({reason}): give a LoRA saved as .safetensors") from None
    _check_lora(unet, state, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft wonders at a second adapter; several arms are what we are here for
        unet.load_lora_adapter(state, prefix="unet", network_alphas=alphas, adapter_name=name, metadata=metadata)
    for key, parameter in unet.named_parameters():
        if f".{name}." in key:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(False)


def _check_lora(unet: UNet2DConditionModel, state: dict[str, torch.Tensor], path: Path) -> None:
    """Every LoRA pair has to sit on a layer of this UNet and have its width."""
    pairs = {key.removeprefix("unet."): value for key, value in state.items() if key.startswith("unet.")}
    pairs = {k: v for k, v in convert_unet_state_dict_to_peft(pairs).items() if v.ndim >= 2}
    if not pairs:
        raise UserError(f"{path} holds no LoRA of a UNet: give a LoRA saved as .safetensors")
    layers = dict(unet.named_modules())
    for key, value in pairs.items():
        name, _, end = key.partition(".lora")
        layer = layers.get(name)
        layer = getattr(layer, "base_layer", layer)
        down = end.startswith("_A")
        wanted = None if layer is None else layer.weight.shape[1 if down else 0]
        if wanted != value.shape[1 if down else 0]:
            raise UserError(
                f"LoRA {path} does not fit this model ({name} is {wanted or 'not there'}, the LoRA's is "
                f"{value.shape[1 if down else 0]}): give one trained on the same family"
            )
