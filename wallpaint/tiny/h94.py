"""The IP-Adapter between modules and the `h94` file layout (`image_proj.*`, `ip_adapter.*`)."""

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection

RENAMES = (  # diffusers' Resampler -> h94; https://github.com/tencent-ailab/IP-Adapter resampler.py
    (".ln0.", ".0.norm1."),
    (".ln1.", ".0.norm2."),
    (".attn.to_q.", ".0.to_q."),
    (".attn.to_out.0.", ".0.to_out."),
    (".ff.0.", ".1.0."),
    (".ff.1.net.0.proj.", ".1.1."),
    (".ff.1.net.2.", ".1.3."),
)


def resampler_weights(resampler: IPAdapterPlusImageProjection) -> dict[str, torch.Tensor]:
    """The Resampler's state dict under h94's names (`to_k` and `to_v` joined as `to_kv`)."""
    state, out = resampler.state_dict(), {}
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
    unet._load_ip_adapter_weights([{"image_proj": resampler_weights(resampler), "ip_adapter": heads}])


def adapter_weights(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """The adapter as one flat h94 file: `image_proj.*`, `ip_adapter.{1,3,...}.to_{k,v}_ip.weight`."""
    resampler = unet.encoder_hid_proj.image_projection_layers[0]
    flat = {f"image_proj.{key}": value for key, value in resampler_weights(resampler).items()}
    for index, name in enumerate(cross_attentions(unet)):
        processor = unet.attn_processors[name]
        flat[f"ip_adapter.{2 * index + 1}.to_k_ip.weight"] = processor.to_k_ip[0].weight
        flat[f"ip_adapter.{2 * index + 1}.to_v_ip.weight"] = processor.to_v_ip[0].weight
    return flat


def adapter_parameters(unet: UNet2DConditionModel) -> list[torch.nn.Parameter]:
    """What adapter training may move: Resampler, `to_k_ip`, `to_v_ip`."""
    parameters = list(unet.encoder_hid_proj.parameters())
    for name in cross_attentions(unet):
        parameters += list(unet.attn_processors[name].parameters())
    return parameters
