"""The IP-Adapter that the models hold, in the h94 layout: read out bit for bit, and put in its place."""

import torch
from diffusers import UNet2DConditionModel

from wallpaint.errors import UserError
from wallpaint.models.bundle import Models

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


def resampler_to_h94(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A diffusers Resampler's state dict under h94's names, `to_k` and `to_v` joined as `to_kv`."""
    out = {}
    for key, value in state.items():
        if ".attn.to_v." in key:
            continue
        if ".attn.to_k." in key:
            value = torch.cat([value, state[key.replace("to_k", "to_v")]])
            key = key.replace(".attn.to_k.", ".0.to_kv.")
        for ours, theirs in RENAMES:
            key = key.replace(ours, theirs)
        out[key] = value
    return out


def adapter_state(models: Models) -> Adapter:
    """The adapter as it is now, in the h94 layout, copied."""
    groups = {"image_proj": resampler_to_h94(models.image_proj.state_dict()), "ip_adapter": adapter_heads(models.unet)}
    return {name: {key: v.detach().clone() for key, v in group.items()} for name, group in groups.items()}


def load_adapter(models: Models, adapter: Adapter, source: str = "the adapter") -> None:
    """Put an h94 adapter in the place of the one the models hold; UserError where it is of another size."""
    heads = adapter_heads(models.unet)
    try:
        layer = models.unet._convert_ip_adapter_image_proj_to_diffusers(adapter["image_proj"])
        models.image_proj.load_state_dict(layer.state_dict())
        if adapter["ip_adapter"].keys() != heads.keys():
            raise UserError("other layers")
        for key, parameter in heads.items():
            if parameter.shape != adapter["ip_adapter"][key].shape:
                raise UserError(f"{key} is {tuple(adapter['ip_adapter'][key].shape)}, not {tuple(parameter.shape)}")
            parameter.data.copy_(adapter["ip_adapter"][key])
    except (RuntimeError, UserError, ValueError, KeyError) as error:
        raise UserError(
            f"{source} does not fit family {models.family.name} ({str(error).splitlines()[0]}): give one trained on it"
        ) from None


def adapter_heads(unet: UNet2DConditionModel) -> dict[str, torch.nn.Parameter]:
    """The adapter's keys and values under h94's names: 1, 3, 5, … in the order of `attn_processors`."""
    processors = [p for key, p in unet.attn_processors.items() if key.endswith("attn2.processor")]
    named = {}
    for index, processor in enumerate(processors):
        named[f"{2 * index + 1}.to_k_ip.weight"] = processor.to_k_ip[0].weight
        named[f"{2 * index + 1}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    return named
