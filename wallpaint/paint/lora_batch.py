"""Many LoRAs in one batch: each sample painted with its own."""

import contextlib
from collections.abc import Iterator
from functools import partial

import torch
from peft.tuners.lora import LoraLayer


def lora_layers(unet: torch.nn.Module) -> list[LoraLayer]:
    """All layers of a UNet that have LoRAs."""
    return [module for module in unet.modules() if isinstance(module, LoraLayer)]


@contextlib.contextmanager
def lora_batch(layers: list[LoraLayer], names: list[str]) -> Iterator[None]:
    """Give each sample of a batch its own LoRA ('__base__' for none), without gradient.

    diffusers' UNet refuses peft's `adapter_names`, and peft would take the samples apart in every layer.
    Stacked, all LoRAs are two products; a layer that cannot be stacked gets `adapter_names` by a hook.
    """

    def add_names(module: torch.nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        return args, {**kwargs, "adapter_names": names}

    plain = [layer for layer in layers if _is_plain(layer)]
    hooks = [layer.register_forward_pre_hook(add_names, with_kwargs=True) for layer in layers if layer not in plain]
    for layer in plain:
        layer.forward = partial(_forward, layer.base_layer, *_stack(layer, names))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in plain:
            del layer.forward  # the class's own again


def _is_plain(layer: LoraLayer) -> bool:
    """Whether its LoRAs are two products and nothing else."""
    linear = isinstance(layer.base_layer, torch.nn.Linear) and not layer.lora_variant
    return linear and all(module.bias is None for module in layer.lora_B.values())


def _stack(layer: LoraLayer, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The LoRAs of `names` as (B, in, r) and (B, r, out), scaled; smaller ranks are filled up with zeros."""
    weight = layer.base_layer.weight
    rank = max((layer.r[name] for name in names if name in layer.r), default=1)
    down = weight.new_zeros(len(names), weight.shape[1], rank)
    up = weight.new_zeros(len(names), rank, weight.shape[0])
    for i, name in enumerate(names):
        if name in layer.lora_A:
            down[i, :, : layer.r[name]] = layer.lora_A[name].weight.detach().mT
            up[i, : layer.r[name]] = layer.lora_B[name].weight.detach().mT * layer.scaling[name]
    return down, up


def _forward(base: torch.nn.Module, down: torch.Tensor, up: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A layer with a LoRA a sample: (B, ..., in) to (B, ..., out)."""
    out = base(x)
    learned = torch.bmm(torch.bmm(x.reshape(len(x), -1, x.shape[-1]), down), up)
    return out + learned.view_as(out)
