"""What the UNet is told beside the picture: small modules that turn a batch into its keyword arguments."""

from typing import Any

import torch
from torch import nn


class Text(nn.Module):
    """The prompt, through cross-attention."""

    def forward(self, batch: Any, noised: Any) -> dict[str, Any]:
        """Give `encoder_hidden_states` (B, L, D)."""
        return {"encoder_hidden_states": batch.prompt_embeds}


class ImagePrompt(nn.Module):
    """The reference picture, through the IP-Adapter's own keys and values.

    Args:
        image_proj: the Resampler where it learns; None where the batch already holds its tokens.
    """

    def __init__(self, image_proj: nn.Module | None = None):
        super().__init__()
        self.image_proj = image_proj

    def forward(self, batch: Any, noised: Any) -> dict[str, Any]:
        """Give `added_cond_kwargs` with one (B, 1, T, E) tensor of image tokens."""
        tokens = batch.image_embeds if self.image_proj is None else self.image_proj(batch.image_embeds)
        return {"added_cond_kwargs": {"image_embeds": [tokens[:, None]]}}


class NoImagePrompt(nn.Module):
    """Stands in where a method knows no reference: with the adapter's scale at 0 nobody reads the token."""

    def forward(self, batch: Any, noised: Any) -> dict[str, Any]:
        """Give one zero token."""
        embeds = batch.prompt_embeds
        token = torch.zeros(len(embeds), 1, 1, embeds.shape[-1], device=embeds.device, dtype=embeds.dtype)
        return {"added_cond_kwargs": {"image_embeds": [token]}}


CONDITIONS = {"text": Text, "image_prompt": ImagePrompt}
