"""The IP-Adapter between modules and the `h94` file layout (`image_proj.*`, `ip_adapter.*`)."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection

from wallpaint.learned.adapter import adapter_heads, resampler_to_h94


def cross_attentions(unet: UNet2DConditionModel) -> list[str]:
    """Names of the cross-attention processors in the order that h94's keys 1, 3, 5, ... follow."""
    return [name for name in unet.attn_processors if name.endswith("attn2.processor")]


def attach_adapter(unet: UNet2DConditionModel, resampler: IPAdapterPlusImageProjection) -> None:
    """Adds an adapter whose keys and values start as the text's, as IP-Adapter's training does."""
    heads = {}
    for index, name in enumerate(cross_attentions(unet)):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        heads[f"{2 * index + 1}.to_k_ip.weight"] = attention.to_k.weight.detach().clone()
        heads[f"{2 * index + 1}.to_v_ip.weight"] = attention.to_v.weight.detach().clone()
    unet._load_ip_adapter_weights([{"image_proj": resampler_to_h94(resampler.state_dict()), "ip_adapter": heads}])


def adapter_weights(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """The adapter as one flat h94 file: `image_proj.*`, `ip_adapter.{1,3,...}.to_{k,v}_ip.weight`."""
    resampler = unet.encoder_hid_proj.image_projection_layers[0].state_dict()
    flat = {f"image_proj.{key}": value for key, value in resampler_to_h94(resampler).items()}
    return flat | {f"ip_adapter.{key}": value for key, value in adapter_heads(unet).items()}


def adapter_parameters(unet: UNet2DConditionModel) -> list[torch.nn.Parameter]:
    """What adapter training may move: Resampler, `to_k_ip`, `to_v_ip`."""
    parameters = list(unet.encoder_hid_proj.parameters())
    for name in cross_attentions(unet):
        parameters += list(unet.attn_processors[name].parameters())
    return parameters
