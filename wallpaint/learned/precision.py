"""In which arithmetic the UNet computes while some of it learns, decided here alone.

Frozen layers are in the runtime's `weight_dtype`, and compute in it; what learns is kept, updated and saved in
float32, and its weights are cast where they meet the activations of frozen layers, so that no activation is widened.
What comes in is cast once, what goes out is float32. Autocast is off inside the UNet: it would run every norm in
float32 and keep that for the backward pass.
"""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import LoraLayer
from torch import nn


class CastLinear(nn.Linear):
    """A float32 layer among frozen ones of another dtype: it computes in that of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As nn.Linear, without a bias."""
        return F.linear(x, self.weight.to(x.dtype))


class CastConv2d(nn.Conv2d):
    """The same for a convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As nn.Conv2d, without a bias."""
        return self._conv_forward(x, self.weight.to(x.dtype), None)


def cast_where_they_meet(unet: nn.Module) -> None:
    """Put layers that cast their weight in the place of those that learn in the UNet; the parameters stay the same."""
    for parent in list(unet.modules()):
        if isinstance(parent, LoraLayer):
            parent.cast_input_dtype_enabled = False  # peft would copy every input to float32
        for name, child in parent.named_children():
            if type(child) in (nn.Linear, nn.Conv2d) and child.weight.requires_grad:
                assert child.bias is None, "a LoRA and the adapter's keys and values have none"
                setattr(parent, name, _casting(child))


def _casting(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    """A layer that is the same but for casting its weight, which it shares."""
    if isinstance(layer, nn.Linear):
        made: nn.Module = CastLinear(layer.in_features, layer.out_features, bias=False, device="meta")
    else:
        shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
        made = CastConv2d(*shape, layer.dilation, layer.groups, bias=False, device="meta")
    made.weight = layer.weight
    return made.train(layer.training)


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Every float tensor in a nest of dicts and lists to `dtype`; timesteps stay whole numbers."""
    if isinstance(value, dict):
        return {key: cast(item, dtype) for key, item in value.items()}
    if isinstance(value, list):
        return [cast(item, dtype) for item in value]
    return value.to(dtype) if value.is_floating_point() else value
