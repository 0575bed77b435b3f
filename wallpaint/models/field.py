"""The classical repaint, and a small network that says how far it is off: smooth fields, no diffusion.

It sees the photo, its wall, the paint and `recolor`'s own guess, all small, and says for each place of the wall,
and of what surrounds it, the log gain a channel that the guess still needs: level and tint of the light, light
that a new wall throws back. Of the wall it says the contrast too: a camera's curve is steeper in one paint than in
another, gloss and a pattern do not grow with the paint. An affine map of log light for each place is what HDRNet
learns (Gharbi et al., SIGGRAPH 2017, section 3). And it says the light on the wall, for where the photo has lost it
in the dark and no gain brings it back. It learned from rendered rooms under cameras drawn anew for every picture
(`python -m wallpaint.recipes.field`), and is what a diffusion arm that starts from the guess has to beat.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from wallpaint.models.blocks import conv_block
from wallpaint.models.runtime import build_alone
from wallpaint.paths import ASSETS
from wallpaint.pixels.arrays import BILINEAR, resize
from wallpaint.pixels.color import bytes_to_linear, linear_to_bytes
from wallpaint.pixels.light import LEAST, LOST, PALEST, TINT
from wallpaint.pixels.mask_ops import from_mask
from wallpaint.pixels.recolor import BAND, BRIGHT, FAINT, Coat, recolor

WEIGHTS = sorted((ASSETS / "field").glob("*.safetensors"))  # of networks that learned from different rooms
SIDE = 64  # the photo is looked at as a square of so many pixels
GRID = 16  # and the field has so many places a side
INPUTS = 17
WIDTHS = (32, 48, 64)  # at 32, 16 and 8 pixels a side
MOST = 1.0  # log gain, either way; and what is added to a contrast of 1
LIT, RANGE = 0.2, 3.0  # linear light of a white wall where the network says nothing, and what MOST says of its log


class Field(nn.Module):
    """A U-Net of one scale up and down: (B, 17, 64, 64) to (B, 12, 16, 16).

    They are log gains of the wall, log gains outside it, what the wall's contrast grows by, and the light on it as
    `lost_light` has it, a channel each.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = nn.Conv2d(4 * INPUTS, first, 3, padding=1)
        self.early = conv_block(first, first)
        self.down = nn.Conv2d(first, second, 3, stride=2, padding=1)
        self.middle = conv_block(second, second)
        self.deep = nn.Conv2d(second, third, 3, stride=2, padding=1)
        self.bottom = conv_block(third, third)
        self.whole = nn.Sequential(nn.Linear(2 * third, third), nn.SiLU(), nn.Linear(third, third))
        self.up = conv_block(third + second, second)
        self.last = nn.Conv2d(second, 12, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    @classmethod
    def load(cls, path: Path) -> "Field":
        """The network of a file, as wide as its weights are."""
        weights = {name: value.float() for name, value in load_file(path).items()}
        network = cls([len(weights[f"{name}.weight"]) for name in ("stem", "down", "deep")])
        network.load_state_dict(weights)
        return network.eval()

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Give the fields (B, 12, 16, 16), nothing beyond MOST; see `look` for what is seen."""
        x = self.stem(F.pixel_unshuffle(seen, 2))
        x = x + self.early(x)
        skip = self.down(F.silu(x))
        skip = skip + self.middle(skip)
        x = self.deep(F.silu(skip))
        x = x + self.bottom(x)
        # What the whole picture says of its light goes to every place.
        x = x + self.whole(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, :, None, None]
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return MOST * torch.tanh(self.last(F.silu(self.up(torch.cat([x, skip], 1)))) / MOST)


def repaint(
    wall: torch.Tensor, old: torch.Tensor, new: torch.Tensor, bounce: torch.Tensor, slope: torch.Tensor
) -> torch.Tensor:
    """`Light.repaint` with a gradient: channels last, (..., 3), of bounce and slope (..., 1)."""
    level = ((wall * old).sum(-1, True) / (old * old).sum(-1, True)).clamp(min=1e-5)
    light = level * (wall / (old * level)).clamp(1 / TINT, TINT) ** ((old / old.amax(-1, True)) ** 2)
    lifted = new * (1 - bounce * old) / (1 - bounce * new)
    told = torch.maximum(old, torch.minimum(lifted, PALEST * (old * old).sum(-1, True) / old.sum(-1, True)))
    return light * lifted * (lifted / told).clamp(min=1e-3) ** (slope - 1)


def look(
    pixels: torch.Tensor, share: torch.Tensor, lights: dict[str, torch.Tensor], paint: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network sees (B, 17, 64, 64), and the guess (B, 3, 64, 64) that its gains are for.

    Args:
        pixels: (B, 3, 64, 64) linear light.
        share: (B, 1, 64, 64), 0 to 1, how much of a pixel is wall.
        lights: `paint` (B, 3), `bounce` (B,) and `slope` (B,), as `Light` has them.
        paint: (B, 3) linear, the new paint.
    """
    bounce, slope = (lights[name][:, None, None, None] for name in ("bounce", "slope"))
    old, new, size = lights["paint"][:, None, None], paint[:, None, None], pixels.shape[-2:]
    wall = repaint(pixels.permute(0, 2, 3, 1), old, new, bounce, slope).permute(0, 3, 1, 2)
    guess = share * wall.clamp(max=BRIGHT) + (1 - share) * pixels
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side, device=pixels.device) for side in size), indexing="ij")
    said = [x.expand_as(share), y.expand_as(share), share]
    said += [(picture + FAINT).log() / 2 for picture in (pixels, guess)]
    said += [(color + FAINT).log()[..., None, None].expand_as(pixels) / 2 for color in (lights["paint"], paint)]
    said += [number.expand_as(share) for number in (bounce, slope.log())]
    return torch.cat(said, 1), guess


def small(picture: Image.Image) -> np.ndarray:
    """A photo, RGB, as the network sees it: (64, 64, 3) linear light."""
    return bytes_to_linear(np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)))


def small_mask(mask: Image.Image) -> np.ndarray:
    """(64, 64), 0 to 1: how much of a pixel is wall."""
    return np.asarray(mask.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)) / np.float32(255)


def middle_light(guess: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Mean log light of a guess (B, 3, H, W) over its wall, whose share is (B, 1, H, W): (B, 3, 1, 1)."""
    wall = (share > 0.5).to(guess)
    return ((guess + FAINT).log() * wall).sum((2, 3), True) / wall.sum((2, 3), True).clamp(min=1)


def lost_light(told: torch.Tensor, paint: torch.Tensor) -> torch.Tensor:
    """What a wall in a paint (B, 3) shows where the photo has lost it, (B, 3, H, W), of the network's last three."""
    return LIT * paint.clamp(min=LEAST)[..., None, None] * (RANGE * told).exp()


def known_share(seen: torch.Tensor) -> torch.Tensor:
    """How much of a wall seen in linear light (B, 3, H, W) is known, by its brightest channel: (B, 1, H, W)."""
    seen = seen.amax(1, True)
    return seen * seen / (seen * seen + LOST * LOST)


def wall_around(pixels: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Mean light of the wall in and about each of 16 x 16 places: what is dark for itself alone is a shadow."""
    side = pixels.shape[-1] // GRID
    # A window beside a dark wall is no light on it; where no wall is, all that is there counts.
    weight = share**8 + 1e-6
    mean = partial(F.avg_pool2d, kernel_size=3 * side, stride=side, padding=side, count_include_pad=False)
    return mean(pixels * weight) / mean(weight)


def estimate_field(coat: Coat) -> tuple[np.ndarray, np.ndarray]:
    """Fields of the repaint (16, 16, 9), see `correct`; log gains outside the wall (16, 16, 3)."""

    def tensor(array: np.ndarray | float) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array, np.float32))[None]

    lights = {name: tensor(getattr(coat.light, name)) for name in ("paint", "bounce", "slope")}
    pixels, share = tensor(small(coat.photo).transpose(2, 0, 1)), tensor(small_mask(coat.mask)[None])
    with torch.no_grad():
        paint = tensor(coat.swatch.linear)
        seen, guess = look(pixels, share, lights, paint)
        # Networks that learned from different rooms err differently, and so do a room and its mirror image, in which
        # the first channel, a place across, stays: their mean errs less.
        both = torch.cat([seen, torch.cat([seen[:, :1], seen[:, 1:].flip(-1)], 1)])
        plain, mirrored = torch.stack([network(both) for network in _networks()]).mean(0).chunk(2)
        told = (plain + mirrored.flip(-1)) / 2
        gains, outside, contrast, lit = told.chunk(4, 1)
        known = known_share(wall_around(pixels, share)).clamp(1e-4, 1 - 1e-4)
        # The contrast turns about the wall's middle.
        level = gains - contrast * middle_light(guess, share) + known.log()
        wall = torch.cat([level, contrast, (lost_light(lit, paint) * (1 - known)).log()], 1)
        return wall[0].permute(1, 2, 0).numpy(), outside[0].permute(1, 2, 0).numpy()


@lru_cache(maxsize=1)
@build_alone
def _networks() -> list[Field]:
    return [Field.load(path) for path in WEIGHTS]


def guess_gains(shown: str, coat: Coat) -> np.ndarray | None:
    """Fields (h, w, 9) over `recolor` of the classical repaint that a method is shown, see Method.shown."""
    return estimate_field(coat)[0] if shown == "field" else None


def field_hash() -> str:
    """Of the weights: what is learned from a field hangs on them."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in WEIGHTS)).hexdigest()[:12]


def recolor_by_field(coat: Coat) -> Image.Image:
    """`recolor` corrected by the fields; its errors."""
    return recolor(coat, estimate_field(coat)[0])


def throw_light(painted: Sequence[Image.Image], coats: Sequence[Coat]) -> list[Image.Image]:
    """Give painted pictures of one photo the light that its new walls throw on what surrounds them.

    It is a smooth field of gains a wall; they multiply, and no wall lights another. Outside the masks the pictures
    are as the photo.

    Returns:
        the pictures, inside the masks byte for byte as they were.
    """
    photo = coats[0].photo
    factor = np.exp(np.sum([estimate_field(coat)[1] for coat in coats], axis=0))
    pixels = np.array(photo.convert("RGB"))
    beyond = ~np.any([from_mask(coat.mask) for coat in coats], axis=0)
    for top in range(0, len(pixels), BAND):
        part = pixels[top : top + BAND]
        band = (0, top, photo.width, top + len(part))
        part[:] = linear_to_bytes(bytes_to_linear(part) * resize(factor, photo.size, BILINEAR, band))
    lit = Image.fromarray(pixels)
    return [Image.composite(lit, picture, Image.fromarray(beyond)) for picture in painted]
