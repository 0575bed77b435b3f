"""A small network that sees the wall in a photo, and the finder made of it; `python -m wallpaint.recipes.walls`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from wallpaint.errors import UserError, reason_of
from wallpaint.models.blocks import conv_block
from wallpaint.models.runtime import build_alone, pick_runtime
from wallpaint.paths import ASSETS
from wallpaint.pixels.mask_ops import expect_iou

NETWORK = ASSETS / "walls" / "network.safetensors"
SIDE = 160  # pixels a side of what it learned from, cuts of photographs; photos are stretched to squares
SEEN = 224  # and of a whole photo, in which things are smaller than in cuts; chosen on rooms held out
WIDTHS = (32, 64, 96, 128, 192)  # at 80, 40, 20, 10 and 5 places a side


class WallNetwork(nn.Module):
    """A U-Net: photos (B, 3, S, S), sRGB 0 to 1, to logits of wall (B, S, S); S a multiple of 32."""

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip(WIDTHS, WIDTHS[1:], strict=False))
        self.stem = nn.Conv2d(12, WIDTHS[0], 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.blocks = nn.ModuleList(conv_block(width, width) for width in WIDTHS)
        self.whole = nn.Sequential(nn.Linear(2 * WIDTHS[-1], WIDTHS[-1]), nn.SiLU(), nn.Linear(*WIDTHS[-1:] * 2))
        self.bottom = conv_block(WIDTHS[-1], WIDTHS[-1])
        self.ups = nn.ModuleList(conv_block(coarse + fine, fine) for fine, coarse in reversed(pairs))
        self.last = nn.Conv2d(WIDTHS[0], 4, 3, padding=1)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Logits (B, S, S)."""
        x = self.stem(F.pixel_unshuffle(2 * photos - 1, 2))
        skips = [x := x + self.blocks[0](x)]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            x = down(F.silu(x))
            skips.append(x := x + block(x))
        # What the whole picture shows goes to every place: which of two surfaces is wall is said by the room.
        x = x + self.whole(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, :, None, None]
        x = x + self.bottom(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([x, skip], 1))
        return F.pixel_shuffle(self.last(F.silu(x)), 2)[:, 0]


@dataclass(frozen=True)
class NetworkFinder:
    """A WallFinder made of the network."""

    network: WallNetwork

    @classmethod
    @build_alone
    def load(cls, path: str | Path) -> NetworkFinder:
        """Load the weights, to the GPU where there is one.

        Raises:
            UserError: the file is missing or holds no such network.
        """
        from safetensors.torch import load_file

        if not Path(path).is_file():
            raise UserError(f"no wall finder at {path}, give another or run python -m wallpaint.recipes.walls")
        network = WallNetwork()
        try:
            network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        except Exception as error:  # safetensors has its own kinds
            raise UserError(f"wall finder {path} cannot be read ({reason_of(error)}), fetch it again") from None
        return cls(network.eval().requires_grad_(False).to(pick_runtime().device))

    def find(self, photo: Image.Image) -> tuple[np.ndarray, float]:
        """Look at the photo and at its mirror image; (SEEN, SEEN) probabilities, and `expect_iou` of them."""
        small = np.asarray(photo.convert("RGB").resize((SEEN, SEEN), Image.Resampling.BILINEAR), np.float32) / 255
        seen = torch.from_numpy(small).permute(2, 0, 1)[None].to(self.network.stem.weight.device)
        with torch.no_grad():
            chance = (self.network(seen).sigmoid() + self.network(seen.flip(-1)).sigmoid().flip(-1))[0] / 2
        found = chance.cpu().numpy()
        return found, expect_iou(found)
