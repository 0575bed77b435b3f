"""Pictures and rows that appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
from PIL import Image


def write_atomic(path: Path, data: bytes) -> None:
    """Write beside, then rename, so that readers never see half a file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    os.replace(beside, path)


def save_image(path: Path, image: np.ndarray) -> None:
    """PNG, or JPEG of quality 95 without chroma subsampling; atomically."""
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    options: dict = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(image).save(beside, **options)
    os.replace(beside, path)
