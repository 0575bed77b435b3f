"""The one image contract: load a photo safely, size it for the model, PIL <-> tensor.

Photos are PIL RGB, masks are PIL 'L' of 0 and 255 where 255 = repaint. Tensors are float32, 0 to 1.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps

from wallpaint.errors import UserError

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 64_000_000  # a 64-megapixel photo takes 192 MB as RGB; a 20 KB PNG bomb can claim any size
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")  # no EPS: PIL would start Ghostscript on it
ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 stand for pictures that lie on their side
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we refuse earlier, in one line


def load_photo(path: str | Path) -> Image.Image:
    """Open a photo as RGB, turned upright, without EXIF, its profile turned to sRGB, alpha over white.

    Raises:
        UserError: no such file, no picture, cut short, or above 64 megapixels (the header tells).
    """
    image = _open_checked(path)
    profile = image.info.get("icc_profile")
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    elif image.mode.startswith("I"):  # 16-bit grey: PIL's own conversion clips at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    return Image.fromarray(np.asarray(_to_srgb(image, profile)))  # a fresh picture: no EXIF, no profile


def load_mask(path: str | Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Open a mask as 'L', strictly 0 and 255 (128 and above = repaint).

    Args:
        path: an image file; colours are turned to grey, alpha counts as 0 where transparent.
        size: (width, height) it has to have.

    Raises:
        UserError: as `load_photo`, and an empty mask, or another size than `size`.
    """
    image = _open_checked(path)
    if size is not None and image.size != tuple(size):
        raise UserError(
            f"mask {path} is {image.width}x{image.height} but its photo is {size[0]}x{size[1]}: "
            "make the mask at the photo's own size"
        )
    if image.mode == "1":
        array = np.asarray(image).astype(np.uint8) * 255
    elif image.mode.startswith("I"):
        array = (np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8)
    elif "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        array = np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba).convert("L"))
    else:
        array = np.asarray(image.convert("L"))
    array = np.where(array >= 128, 255, 0).astype(np.uint8)
    if not array.any():
        raise UserError(f"mask {path} is empty (no pixel of 128 or above): paint the wall white in it")
    return Image.fromarray(array)


def read_size(path: str | Path) -> tuple[int, int]:
    """Read the (width, height) of a picture, as it stands upright, from its header alone.

    Raises:
        UserError: no such file, no picture, or above 64 megapixels.
    """
    image = _open_checked(path, decode=False)
    # The base class's getexif, because PNG's own decodes the picture first; a TIFF's size is upright already.
    turned = image.format != "TIFF" and Image.Image.getexif(image).get(ORIENTATION, 1) >= 5
    return image.size[::-1] if turned else image.size


def model_size(size: tuple[int, int], resolution: int, multiple: int) -> tuple[int, int]:
    """Choose the (width, height) a model works at for a photo of `size` (width, height).

    The area is about `resolution` squared, the aspect is kept as well as sides in multiples of `multiple`
    can, and no side falls below one `multiple`.
    """
    width, height = size
    scale = resolution / (width * height) ** 0.5
    return tuple(max(multiple, round(side * scale / multiple) * multiple) for side in (width, height))


def to_tensor(image: Image.Image) -> torch.Tensor:
    """PIL RGB to (1, 3, H, W), PIL 'L' to (1, 1, H, W); float32, 0 to 1."""
    import torch

    array = np.array(image, dtype=np.float32) / 255
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(array))[None]


def to_image(tensor: torch.Tensor) -> Image.Image:
    """(C, H, W) or (1, C, H, W), C = 1 or 3, in 0 to 1 (clipped) to PIL 'L' or RGB. Any dtype, any device."""
    tensor = tensor.detach().float().cpu()
    tensor = tensor[0] if tensor.ndim == 4 else tensor
    array = (tensor.clamp(0, 1).numpy() * 255).round().astype(np.uint8)
    return Image.fromarray(array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix); it takes its place on success, goes on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it 0600, which a web server could not read
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_checked(path: str | Path, decode: bool = True) -> Image.Image:
    """Open a picture, upright, refusing what is missing, no picture, too large or (decoded) cut short."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"image {path} does not exist: give the path of a JPEG, PNG or WebP file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if not decode:
                return image
            image.load()
            return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 1_000_000
        raise UserError(f"image {path} is larger than {limit} megapixels: make it smaller") from None
    except Exception as error:  # PIL: OSError, SyntaxError, struct.error, EOFError… as the format goes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"image {path} cannot be read ({reason}): save it again as JPEG or PNG") from None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Turn a picture with an ICC profile (Adobe RGB, Display P3, CMYK) to sRGB; ignore a broken one."""
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")
