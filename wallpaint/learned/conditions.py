"""What the UNet is given beside the picture: small modules that turn a batch into its keyword arguments.

A condition also gets those of the conditions before it; `reads` names the row of `encoders.ENCODERS` that made
the batch's `image_embeds`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from wallpaint.models.bundle import Models
from wallpaint.models.parts import part

UNetInputs = dict[str, Any]  # its keyword arguments so far: `sample` and `timestep` come first


def _add(inputs: UNetInputs, **more: Any) -> UNetInputs:
    """`added_cond_kwargs` with more in it."""
    return {"added_cond_kwargs": {**inputs.get("added_cond_kwargs", {}), **more}}


class Text(nn.Module):
    """The prompt, through cross-attention.

    SDXL also takes its pooled embedding, and what size the picture had and has and where it was cropped: it
    trains and paints at the working size, nothing cropped off.
    """

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give `encoder_hidden_states` (B, L, D), and where a pooled embedding is known what goes with it."""
        text = {"encoder_hidden_states": batch.prompt_embeds}
        if batch.pooled_embeds is None:
            return text
        size = [*batch.wall.shape[-2:]]
        filled = [torch.full((len(batch.wall),), n, device=batch.wall.device) for n in [*size, 0, 0, *size]]
        return text | _add(inputs, text_embeds=batch.pooled_embeds, time_ids=torch.stack(filled, dim=1))


class ImagePrompt(nn.Module):
    """The reference picture, through the IP-Adapter's own keys and values.

    Args:
        image_proj: the Resampler where it learns; None where the batch already holds its tokens.
    """

    def __init__(self, image_proj: nn.Module | None = None):
        super().__init__()
        self.image_proj = image_proj
        self.reads = "tokens" if image_proj is None else "states"

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give `added_cond_kwargs` with one (B, 1, T, E) tensor of image tokens."""
        tokens = batch.image_embeds if self.image_proj is None else self.image_proj(batch.image_embeds)
        return _add(inputs, image_embeds=[tokens[:, None]])


class NoImagePrompt(nn.Module):
    """Stands in where a method has no adapter: with its scale at 0 the token has no effect."""

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give one zero token."""
        states = inputs["encoder_hidden_states"]
        token = torch.zeros(len(states), 1, 1, states.shape[-1], device=states.device, dtype=states.dtype)
        return _add(inputs, image_embeds=[token])


class Example(nn.Module):
    """The reference picture in place of the text, as one token; a learned vector where there is none.

    After Paint-by-Example, https://arxiv.org/abs/2211.13227: one token is all that gets through, so that a
    reference cannot simply be copied into the hole.

    Args:
        example: diffusers' PaintByExampleImageEncoder; its CLIP has run already.
    """

    reads = "example"

    def __init__(self, example: nn.Module):
        super().__init__()
        self.example = example

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give `encoder_hidden_states` (B, 1, D)."""
        head: Any = self.example
        token = head.mapper(batch.image_embeds.to(head.proj_out.weight.dtype))
        token = head.proj_out(head.final_layer_norm(token))
        has_reference = batch.has_reference[:, None, None]
        return {"encoder_hidden_states": torch.where(has_reference, token, head.uncond_vector.to(token.dtype))}


class Identity(nn.Module):
    """The reference picture in place of the text, as DINOv2's tokens through a learned projection.

    After AnyDoor, https://arxiv.org/abs/2307.09481. Its null is DINOv2's output for zero pixels.
    """

    reads = "identity"

    def __init__(self, identity: nn.Module):
        super().__init__()
        self.identity = identity

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give `encoder_hidden_states` (B, 1 + P, D)."""
        weight: Any = self.identity.weight
        return {"encoder_hidden_states": self.identity(batch.image_embeds.to(weight.dtype))}


class Detail(nn.Module):
    """The wall's own texture, through a ControlNet on the high-frequency map; it adds zeros at first.

    Args:
        detail: diffusers' ControlNetModel; it takes the same hidden states as the UNet.
    """

    def __init__(self, detail: nn.Module):
        super().__init__()
        self.detail = detail

    def forward(self, batch: Any, inputs: UNetInputs) -> UNetInputs:
        """Give what is added to the UNet's skip connections and to its middle."""
        net: Any = self.detail
        down, middle = net(
            inputs["sample"].to(net.dtype),
            inputs["timestep"],
            inputs["encoder_hidden_states"].to(net.dtype),
            controlnet_cond=batch.detail.to(net.dtype),
            return_dict=False,
        )
        return {"down_block_additional_residuals": list(down), "mid_block_additional_residual": middle}


# Each made from the models and whether the adapter learns.
CONDITIONS: dict[str, Callable[[Models, bool], nn.Module]] = {
    "text": lambda models, learns: Text(),
    "image_prompt": lambda models, learns: ImagePrompt(models.image_proj if learns else None),
    "example": lambda models, learns: Example(part(models, "example")),
    "identity": lambda models, learns: Identity(part(models, "identity")),
    "detail": lambda models, learns: Detail(part(models, "detail")),
}


def make_conditions(models: Models, names: tuple[str, ...], adapter_learns: bool = False) -> list[nn.Module]:
    """The conditions `names`, in order; the adapter is silenced where it is not among them."""
    silent = [] if "image_prompt" in names else [NoImagePrompt()]
    return [*(CONDITIONS[name](models, adapter_learns) for name in names), *silent]
