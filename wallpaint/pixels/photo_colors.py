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
from wallpaint.pixels.color import WHITE, XYZ_TO_RGB, linear_to_bytes, srgb_to_linear

BAND = 256  # rows worked on at once
COLOR_SPACE, INDEX, EXIF_IFD, INTEROP_IFD = 0xA001, 1, 0x8769, 0xA005  # EXIF tags
# What a picture without a profile may say it is in: x and y of white, red, green, blue, and the power of its curve,
# None for sRGB's. Adobe RGB (1998) Color Image Encoding, 4.3; SMPTE EG 432-1; ITU-R BT.2020.
SRGB_XY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3_XY = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
WIDE_XY = (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)
ADOBE_RGB = ((0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.19921875)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])  # ICC.1, E.3
NEAR_XY, NEAR_GAMMA = 0.01, 0.02  # as programs round what they write of sRGB
SRGB = ImageCms.createProfile("sRGB")
Space = tuple[tuple[float, ...], float | None]
# ITU-T H.273: primaries and transfer, in a PNG's chunk and in the box of AVIF and HEIC.
CODED = re.compile(rb"cICP(?P<png>..)|nclx\0(?P<primaries>.)\0(?P<transfer>.)", re.S)
HDR, CODED_XY, CODED_POWERS = (16, 18), {9: WIDE_XY, 12: P3_XY}, {4: 2.2, 5: 2.8, 8: 1.0}


def to_srgb(image: Image.Image) -> Image.Image:
    """A picture of any mode to RGB in sRGB: by its profile, or what else says its colour space; alpha over white."""
    profile = image.info.get("icc_profile")
    space = None if profile else image.info.get("space") or (ADOBE_RGB if _is_adobe_rgb(image) else None)
    if image.mode == "I" and not all(band.min() >= 0 and band.max() <= 65535 for _, band in bands(image)):
        raise ValueError("its numbers have 32 bits, or signs")
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(deep_to_bytes(image))
    elif has_alpha(image):
        image = _over_white(image)
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB") or image
    image = image.convert("RGB") if image.mode == "P" else image
    if profile and image.mode in ("RGB", "CMYK", "L"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a broken profile, or one of another kind of picture
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB") or image
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _from_space(image, *space) if space else image


def _over_white(image: Image.Image) -> Image.Image:
    """A picture with alpha laid over white: 'L' or RGB; one that is transparent all over loses its alpha alone."""
    if image.mode == "LA":
        return Image.composite(image.getchannel("L"), Image.new("L", image.size, 255), image.getchannel("A"))
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")  # of 108 megapixels a copy is 432 MB
    few = rgba.resize((64, 64), Image.Resampling.NEAREST)
    if not rgba.getchannel("A").getbbox() and len({*few.getdata()}) > 1:
        return rgba.convert("RGB")  # as some programs leave it: nothing would be seen
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba)
    return white


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


def told_space(image: Image.Image, head: bytes, path: Path) -> Space | None:
    """The space that a PNG, AVIF or HEIC without a profile tells by numbers; None for sRGB.

    A PNG's code goes before its word for sRGB, and that before its gAMA and cHRM (PNG, third edition, 11.3.2).

    Raises:
        UserError: light is coded as for HDR screens, which as sRGB would be grey and dull.
    """
    info, xy, power = image.info, SRGB_XY, None
    if info.get("icc_profile") or image.format not in ("PNG", "AVIF", "HEIF"):
        return None
    if told := CODED.search(head):
        primaries, transfer = told["png"] or (told["primaries"] + told["transfer"])
        if transfer in HDR:
            raise UserError(f"image {path} is an HDR picture: save it as JPEG")
        xy, power = CODED_XY.get(primaries, SRGB_XY), CODED_POWERS.get(transfer)
    elif "srgb" not in info:
        gamma, told_xy = info.get("gamma", 0), tuple(info.get("chromaticity", SRGB_XY))
        power = 1 / gamma if gamma > 0 and abs(gamma - 1 / 2.2) > NEAR_GAMMA else None
        far = np.abs(np.subtract(told_xy, SRGB_XY)).max() > NEAR_XY
        xy = told_xy if far and min(told_xy[1::2]) > 0 else SRGB_XY
    return None if (xy, power) == (SRGB_XY, None) else (xy, power)


def _from_space(image: Image.Image, xy: tuple[float, ...], power: float | None) -> Image.Image:
    """Bytes in another space to sRGB bytes, some rows at a time."""
    steps, pixels = np.arange(256) / 255, np.array(image)
    linear = srgb_to_linear(steps) if power is None else (steps**power).astype(np.float32)
    try:
        to_rgb = (XYZ_TO_RGB @ _to_xyz(xy)).T.astype(np.float32)
    except np.linalg.LinAlgError:  # primaries on a line
        return image
    for start in range(0, len(pixels), BAND):
        rows = pixels[start : start + BAND]
        rows[:] = linear_to_bytes(linear[rows] @ to_rgb)
    return Image.fromarray(pixels)


def _to_xyz(xy: tuple[float, ...]) -> np.ndarray:
    """The matrix (3, 3) from linear light of these primaries to XYZ at D65, their white to its."""
    x, y = np.reshape(xy, (4, 2)).T
    white, *primaries = np.transpose([x / y, np.ones(4), (1 - x - y) / y])
    columns = np.transpose(primaries)
    cones = np.diag((BRADFORD @ WHITE) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ (columns * np.linalg.solve(columns, white))
