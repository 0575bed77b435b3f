"""Pictures for methods that learn from the wall itself: holes in it, pieces of it, its texture, guesses at it."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torchvision.transforms import v2

from wallpaint.cache.draws import step_generator
from wallpaint.pixels.images import to_tensor

# Standard deviations of the error in the old paint, log level and log tint, with which the classical repaints are made
# that a method learns from. In a room that is known in one paint alone it is the only error they have.
MISREAD = (0.2, 0.06)
SIGMA = 5.0  # pixels at working size: what is finer is detail
GAIN = 4.0  # plaster differs by a few hundredths from its surroundings


def draw_hole(wall: torch.Tensor, *numbers: int | str) -> torch.Tensor:
    """Draw a hole around a random pixel of a wall, a box or one with curved sides; a function of `numbers`.

    The sides are Bezier curves, as Paint-by-Example draws its masks, https://arxiv.org/abs/2211.13227.

    Args:
        wall: (1, 1, H, W), 0 or 1, somewhere 1.
        *numbers: seed it.

    Returns:
        (1, 1, H, W), 0 or 1: where the shape lies on the wall, one pixel at least.
    """
    generator = step_generator(*numbers)
    size = torch.tensor(wall.shape[-1:-3:-1])  # width, height
    spots = wall[0, 0].nonzero()
    centre = spots[torch.randint(len(spots), (1,), generator=generator)].flip(-1)[0]
    half = size * (0.25 + 0.5 * torch.rand(2, generator=generator)) / 2
    corners = centre + half * torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    bent = torch.randint(2, (1,), generator=generator)
    t = torch.linspace(0, 1, 12)[:, None]
    curves = []
    for first, last in zip(corners, corners.roll(-1, 0), strict=True):
        middle = (first + last) / 2 + bent * half * (2 * torch.rand(2, generator=generator) - 1)
        curves.append((1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last)
    shape = Image.new("L", tuple(size.tolist()))
    ImageDraw.Draw(shape).polygon([tuple(point) for point in torch.cat(curves).tolist()], fill=255)
    hole = (to_tensor(shape.convert("RGB"))[:, :1] > 0.5).float() * wall
    hole[..., centre[1], centre[0]] = 1  # a bent shape may miss its own centre
    return hole


def cut_reference(
    picture: Image.Image, hole: torch.Tensor, side: int, color_jitter: float, *numbers: int | str
) -> Image.Image:
    """What stood in the hole, disturbed so that it cannot simply be copied back; a function of `numbers`.

    The study's augmentation: a crop of 80 to 100 %, colour jitter, blur. Hue moves by a quarter of what
    brightness, contrast and saturation do.

    Args:
        picture: RGB, (W, H).
        hole: (1, 1, H, W), 0 or 1.
        side: of the square that comes back, in pixels.
        color_jitter: 0.4 in the study; 0 leaves the paint as it is.
        *numbers: seed it.
    """
    ys, xs = hole[0, 0].nonzero().unbind(1)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    disturb = v2.Compose(
        [
            v2.RandomResizedCrop(side, scale=(0.8, 1.0)),
            v2.ColorJitter(color_jitter, color_jitter, color_jitter, color_jitter / 4),
            v2.GaussianBlur(2 * (11 * side // 224) + 1, sigma=(0.1, 2.0)),
        ]
    )
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator
        torch.manual_seed(step_generator(*numbers).initial_seed())
        return disturb(picture.crop(box))


def draw_misreading(*numbers: int | str) -> np.ndarray:
    """Draw the log error (3,) of an old paint, see MISREAD; a function of `numbers`."""
    level, red, blue = torch.randn(3, generator=step_generator(*numbers)).tolist()
    return np.array([MISREAD[0] * level + MISREAD[1] * tint for tint in (red, 0.0, blue)], np.float32)


def detail_map(image: torch.Tensor, wall: torch.Tensor, erosion: int) -> torch.Tensor:
    """A wall's texture without its colour and light: what a blur of SIGMA takes away, times GAIN.

    The blur goes over the wall alone, so that neither furniture nor the wall's outline is taken for texture.

    Args:
        image: (1, 3, H, W), 0 to 1.
        wall: (1, 1, H, W), 0 or 1.
        erosion: pixels at the wall's rim that say nothing.

    Returns:
        (1, 3, H, W), -1 to 1; 0 off the wall.
    """
    from kornia.filters import gaussian_blur2d  # reads all of kornia, half a second

    kernel = min(2 * int(3 * SIGMA) + 1, 2 * min(image.shape[-2:]) - 1)
    blur = [gaussian_blur2d(x, (kernel, kernel), (SIGMA, SIGMA)) for x in (image * wall, wall)]
    inside = 1 - F.max_pool2d(1 - wall, 2 * erosion + 1, 1, erosion)
    return (GAIN * (image - blur[0] / blur[1].clamp(min=1e-4)) * inside).clamp(-1, 1)
