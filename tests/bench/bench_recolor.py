"""The most memory that `recolor` of a phone's 64-megapixel photo takes, nearly all of it wall.

python tests/bench/bench_recolor.py
"""

import resource
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from wallpaint.pixels.color import Swatch
from wallpaint.pixels.recolor import Coat, recolor

SIZE = (9248, 6936)

if __name__ == "__main__":
    coarse = np.random.default_rng(0).integers(60, 220, (70, 93, 3), dtype=np.uint8)
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 0, SIZE[0], SIZE[1] - 9))
    recolor(Coat(Image.fromarray(coarse).resize(SIZE), mask, Swatch((122, 158, 126))))
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB at most")
