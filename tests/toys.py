"""Toy rooms that cost nothing to make."""

import numpy as np
from PIL import Image

from wallpaint.dataset.folder import add_sample
from wallpaint.pixels.recolor import Coat

PAINTS = ((122, 158, 126), (200, 60, 50))
FAST = {  # settings of a training that takes seconds
    "resolution": 64,
    "device": "cpu",
    "train_batch_size": 2,
    "num_validation_images": 1,
    "num_inference_steps": 2,
    "lora_rank": 2,
    "report_to": "none",
}


def toy_room(seed, color, size=(64, 64)):
    """A photo and its mask: noise outside, a wall in `color` whose light falls off from left to right."""
    width, height = size
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize(size)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 8 : height // 2 + 4 * seed, width // 8 : -width // 4] = 255
    light = np.linspace(1.0, 0.5, width)[None, :, None]
    wall = (np.array(color) * light).clip(0, 255)
    photo = np.where(mask[..., None] > 0, wall, np.asarray(noise)).astype(np.uint8)
    return Image.fromarray(photo), Image.fromarray(mask)


def grid_mask(width=64, height=64):
    """A mask on the grid of latents, where nearest (stock pipelines) and maximum (ours) shrink it alike."""
    mask = Image.new("L", (width, height))
    mask.paste(255, (16, 8, 56, 40))
    return mask


def toy_dataset(folder):
    """Two photos of `attic` and one of `hall` to learn from, `loft` held out."""
    green, red = PAINTS
    for number, room in enumerate(("attic", "attic", "hall")):
        add_sample(folder, "train", *toy_room(number, green), green, "a room", room)
    add_sample(folder, "validation", *toy_room(3, red), red, "a room", "loft")
    return folder


def paint_with(painter, photo, mask, swatch, settings, **options):
    """A picture of each arm of a painter, by name."""
    from wallpaint.paint.arms import Arms

    painted = Arms(tuple(painter.names), (painter,)).paint(Coat(photo, mask, swatch), settings, **options)
    return {name: picture for name, (picture, _) in painted.items()}
