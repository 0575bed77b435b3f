"""A picture's pixels as 8 bits of sRGB, whatever mode, depth, profile or colour space its file has."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from wallpaint.errors import UserError
from wallpaint.pixels.color import XYZ_TO_RGB, linear_to_bytes, srgb_to_linear

BAND = 256  # rows worked on at once
COLOR_SPACE, INDEX, EXIF_IFD, INTEROP_IFD = 0xA001, 1, 0x8769, 0xA005  # EXIF tags
# What a picture without a profile may say it is in: to XYZ at D65, and each byte's linear light.
# Adobe RGB (1998) Color Image Encoding, 4.3.5.3 and 4.3.4.2; SMPTE EG 432-1 with sRGB's curve.
ADOBE_TO_XYZ = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
P3_TO_XYZ = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0, 0.04511, 1.04394]])
SPACES = {
    "Adobe RGB": (ADOBE_TO_XYZ, ((np.arange(256) / 255) ** 2.19921875).astype(np.float32)),
    "Display P3": (P3_TO_XYZ, srgb_to_linear(np.arange(256) / 255)),
}
# ITU-T H.273: primaries and transfer, in a PNG's chunk and in the box of AVIF and HEIC.
CODED = re.compile(rb"cICP(?P<png>..)|nclx\0(?P<primaries>.)\0(?P<transfer>.)", re.S)
P3, HDR = 12, (16, 18)


def to_srgb(image: Image.Image) -> Image.Image:
    """A picture of any mode to RGB in sRGB: by its profile, or what else says its colour space; alpha over white."""
    profile = image.info.get("icc_profile")
    space = "" if profile else image.info.get("coded") or ("Adobe RGB" if _is_adobe_rgb(image) else "")
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(deep_to_bytes(image))
    elif image.mode == "LA":
        image = Image.composite(image.getchannel("L"), Image.new("L", image.size, 255), image.getchannel("A"))
    elif has_alpha(image):
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # of 108 megapixels a copy is 432 MB
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba)
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB") or image
    image = image.convert("RGB") if image.mode == "P" else image
    if profile and image.mode in ("RGB", "CMYK", "L"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a broken profile, or one of another kind of picture
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB") or image
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _from_space(image, *SPACES[space]) if space else image


SRGB = ImageCms.createProfile("sRGB")


def has_alpha(image: Image.Image) -> bool:
    """Whether any pixel of a picture may be transparent."""
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def deep_to_bytes(image: Image.Image) -> np.ndarray:
    """Grey of 16 bits, or of floats up to 1 or 255, to uint8 (H, W); PIL's own conversion clips at 255."""
    most = max(np.nan_to_num(band).max() for _, band in bands(image))
    top = next(top for top in (1, 255, np.inf) if most <= top) if image.mode.startswith("F") else 65535
    out = np.empty(image.size[::-1], np.uint8)
    for rows, band in bands(image):
        out[rows] = (np.nan_to_num(band).clip(0, top) / min(top, 65535) * 255).clip(0, 255).round()
    return out


def bands(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """The pixels of a picture as arrays of BAND rows, each with where it is: floats of all would take gigabytes."""
    for top in range(0, image.height, BAND):
        rows = slice(top, min(top + BAND, image.height))
        yield rows, np.asarray(image.crop((0, rows.start, image.width, rows.stop)))


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says Adobe RGB as cameras do: 'uncalibrated' with DCF's index R03, or a colour space of 2."""
    with contextlib.suppress(Exception):  # a broken block says nothing
        exif = Image.Image.getexif(image)
        space, index = exif.get_ifd(EXIF_IFD).get(COLOR_SPACE), exif.get_ifd(INTEROP_IFD).get(INDEX, "")
        return space == 2 or (space == 65535 and str(index).startswith("R03"))
    return False


def coded_space(image: Image.Image, head: bytes, path: Path) -> str:
    """Name the space of SPACES that a PNG, AVIF or HEIC without a profile tells by numbers; '' for sRGB.

    Raises:
        UserError: light is coded as for HDR screens, which as sRGB would be grey and dull.
    """
    told = CODED.search(head) if image.format in ("PNG", "AVIF", "HEIF") else None
    if not told or image.info.get("icc_profile"):
        return ""
    primaries, transfer = told["png"] or (told["primaries"] + told["transfer"])
    if transfer in HDR:
        raise UserError(f"image {path} is an HDR picture: save it as JPEG")
    return "Display P3" if primaries == P3 else ""


def _from_space(image: Image.Image, to_xyz: np.ndarray, linear: np.ndarray) -> Image.Image:
    """Bytes in another space to sRGB bytes, some rows at a time."""
    pixels = np.array(image)
    to_rgb = (XYZ_TO_RGB @ to_xyz).T.astype(np.float32)
    for start in range(0, len(pixels), BAND):
        rows = pixels[start : start + BAND]
        rows[:] = linear_to_bytes(linear[rows] @ to_rgb)
    return Image.fromarray(pixels)
