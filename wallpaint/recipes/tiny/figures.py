"""Figures of the family on held-out rooms."""

import torch


def delta_e(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """CIEDE2000 of two uint8 batches (B, 3, H, W) -> (B, H, W)."""
    from wallpaint.pixels import color

    def lab(x: torch.Tensor):
        return color.rgb_to_lab(x.permute(0, 2, 3, 1).numpy() / 255.0)

    return torch.from_numpy(color.delta_e(lab(first), lab(second)))
