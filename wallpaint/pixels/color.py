"""Colour: hex, sRGB, linear light, CIELAB (D65, 2 degree observer) and CIEDE2000.

Plain numpy; the last axis of every array holds the three channels. sRGB and linear RGB run from 0 to 1,
L* from 0 to 100, a* and b* roughly from -128 to 128.
"""

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wallpaint.errors import UserError

# IEC 61966-2-1 primaries with the white point x = 0.3127, y = 0.3290, unrounded: every grey has a* = b* = 0.
RGB_TO_XYZ = np.array(
    [
        [0.41239079926595934, 0.357584339383878, 0.1804807884018343],
        [0.21263900587151027, 0.715168678767756, 0.07219231536073371],
        [0.01933081871559182, 0.11919477979462598, 0.9505321522496607],
    ]
)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
WHITE = RGB_TO_XYZ.sum(axis=1)
LUMINANCE = RGB_TO_XYZ[1]

# CIE 15: the cube root gives way to a straight line below (6/29)^3.
EPSILON = (6 / 29) ** 3
KAPPA = (29 / 3) ** 3

CHUNK = 1 << 20  # pixels worked on at once by `delta_e`, which needs some thirty temporaries of 8 bytes each


@dataclass(frozen=True)
class Swatch:
    """A paint colour as three sRGB bytes."""

    rgb: tuple[int, int, int]

    def __post_init__(self) -> None:
        """Refuse anything but three whole numbers from 0 to 255."""
        values = tuple(self.rgb)
        whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
        if len(values) != 3 or not whole or not all(0 <= v <= 255 for v in values):
            raise UserError(f"colour {self.rgb!r} is not three whole numbers from 0 to 255, like [122, 158, 126]")
        object.__setattr__(self, "rgb", tuple(int(v) for v in values))

    @property
    def hex(self) -> str:
        """The colour as '#7A9E7E'."""
        return "#{:02X}{:02X}{:02X}".format(*self.rgb)

    @property
    def linear(self) -> np.ndarray:
        """The colour as linear RGB, shape (3,), 0 to 1."""
        return srgb_to_linear(np.array(self.rgb, dtype=np.float32) / 255)

    @property
    def lab(self) -> np.ndarray:
        """The colour as CIELAB, shape (3,)."""
        return rgb_to_lab(np.array(self.rgb, dtype=np.float32) / 255)

    @property
    def lrv(self) -> float:
        """Light reflectance value: what share of the light the paint gives back, Y from 0 to 100."""
        return 100 * float(luminance(self.linear))

    def image(self, size: int) -> Image.Image:
        """Return a square RGB picture of this colour alone, `size` pixels a side."""
        return Image.new("RGB", (size, size), self.rgb)


def parse_color(text: str) -> Swatch:
    """Read '#7A9E7E', '7a9e7e' or '#abc'; UserError where the text is not a hex colour."""
    match = re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", str(text).strip(), flags=re.ASCII)
    if match is None:
        raise UserError(f"colour {str(text)[:40]!r} is not a hex colour: write it as '#7A9E7E'")
    digits = match[1] if len(match[1]) == 6 else "".join(2 * d for d in match[1])
    return Swatch((int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)))


def srgb_to_linear(x: np.ndarray) -> np.ndarray:
    """Undo the sRGB transfer curve: 0 to 1 (clipped) in, float32 linear light out, any shape."""
    x = np.clip(np.asarray(x, dtype=np.float32), 0, 1)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(x: np.ndarray) -> np.ndarray:
    """Apply the sRGB transfer curve: (…) linear light in, (…) float32 sRGB out, both clipped to 0 to 1."""
    x = np.clip(np.asarray(x, dtype=np.float32), 0, 1)
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


_FROM_BYTE = srgb_to_linear(np.arange(256) / 255)
_STEPS = 65535  # of linear light: the steepest byte, next to black, has twenty
_TO_BYTE = (linear_to_srgb(np.arange(_STEPS + 1) / _STEPS) * 255).round().astype(np.uint8)


def bytes_to_linear(x: np.ndarray) -> np.ndarray:
    """SRGB bytes, any shape, to float32 linear light, by a table: a tenth of the time of `srgb_to_linear`."""
    return _FROM_BYTE.take(x)


def linear_to_bytes(x: np.ndarray) -> np.ndarray:
    """Linear light (clipped to 0 to 1), any shape, to sRGB bytes, by a table."""
    steps = np.asarray(x * np.float32(_STEPS) + np.float32(0.5))
    return _TO_BYTE.take(np.clip(steps, 0, _STEPS, out=steps).astype(np.uint16))


def luminance(linear: np.ndarray) -> np.ndarray:
    """Relative luminance Y of linear RGB: (…, 3) in, (…) float32 out, 1 for white."""
    return np.asarray(linear, dtype=np.float32) @ LUMINANCE.astype(np.float32)


def lightness(linear: np.ndarray) -> np.ndarray:
    """L* of linear RGB: (…, 3) in, (…) float32 out, 0 to 100; a third of the time of `linear_to_lab`."""
    y = luminance(linear)
    return 116 * np.where(y > EPSILON, np.cbrt(y), (np.float32(KAPPA) * y + 16) / 116) - 16


def linear_to_lab(linear: np.ndarray) -> np.ndarray:
    """Linear RGB (…, 3), 0 to 1 or above, to CIELAB (…, 3) float32."""
    ratio = np.asarray(linear, dtype=np.float32) @ (RGB_TO_XYZ / WHITE[:, None]).T.astype(np.float32)
    f = np.where(ratio > EPSILON, np.cbrt(ratio), (KAPPA * ratio + 16) / 116)
    lightness = 116 * f[..., 1] - 16
    return np.stack([lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1).astype(np.float32)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """SRGB (…, 3), 0 to 1, to CIELAB (…, 3) float32."""
    return linear_to_lab(srgb_to_linear(rgb))


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIELAB (…, 3) to sRGB (…, 3) float32; colours that sRGB cannot show are clipped to 0 to 1."""
    lab = np.asarray(lab, dtype=np.float32)
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    ratio = np.where(f > 6 / 29, f**3, (116 * f - 16) / KAPPA)
    return linear_to_srgb(ratio @ (XYZ_TO_RGB * WHITE).T.astype(np.float32))


def delta_e(lab1: np.ndarray, lab2: np.ndarray) -> np.ndarray:
    """CIEDE2000 colour difference with kL = kC = kH = 1: two (…, 3), broadcast, in; (…) float32 out.

    Source: Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes, Supplementary
    Test Data, and Mathematical Observations", Color Research and Application 30 (2005). Worked in float64,
    because the mean hue of two nearly opposite colours flips on the last digits.
    """
    lab1, lab2 = np.broadcast_arrays(np.asarray(lab1), np.asarray(lab2))
    shape = lab1.shape[:-1]
    lab1, lab2 = lab1.reshape(-1, 3), lab2.reshape(-1, 3)
    out = np.empty(len(lab1), dtype=np.float32)
    for start in range(0, len(lab1), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = _ciede2000(lab1[part].astype(np.float64), lab2[part].astype(np.float64))
    return out.reshape(shape)


def _ciede2000(lab1: np.ndarray, lab2: np.ndarray) -> np.ndarray:
    """CIEDE2000 of (N, 3) and (N, 3) float64; equation numbers are those of Sharma et al. (2005)."""
    (l1, a1, b1), (l2, a2, b2) = lab1.T, lab2.T
    c_bar7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7  # (2), (3)
    stretch = 1.5 - 0.5 * np.sqrt(c_bar7 / (c_bar7 + 25.0**7))  # (4), as 1 + G
    a1, a2 = a1 * stretch, a2 * stretch  # (5)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)  # (6)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360  # (7)
    neutral = c1 * c2 == 0
    dh = np.where(neutral, 0, (h2 - h1 + 180) % 360 - 180)  # (10); the sign at exactly 180 only mirrors (11)
    d_l, d_c = l2 - l1, c2 - c1  # (8), (9)
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh) / 2)  # (11)
    l_bar, c_bar = (l1 + l2) / 2, (c1 + c2) / 2  # (12), (13)
    far = np.abs(h1 - h2) > 180
    h_bar = (h1 + h2 + np.where(far, np.where(h1 + h2 < 360, 360, -360), 0)) / 2  # (14)
    h_bar = np.where(neutral, h1 + h2, h_bar)
    t = (
        1
        - 0.17 * np.cos(np.radians(h_bar - 30))
        + 0.24 * np.cos(np.radians(2 * h_bar))
        + 0.32 * np.cos(np.radians(3 * h_bar + 6))
        - 0.20 * np.cos(np.radians(4 * h_bar - 63))
    )  # (15)
    r_c = 2 * np.sqrt(c_bar**7 / (c_bar**7 + 25.0**7))  # (17)
    s_l = 1 + 0.015 * (l_bar - 50) ** 2 / np.sqrt(20 + (l_bar - 50) ** 2)  # (18)
    s_c, s_h = 1 + 0.045 * c_bar, 1 + 0.015 * c_bar * t  # (19), (20)
    r_t = -np.sin(np.radians(60 * np.exp(-(((h_bar - 275) / 25) ** 2)))) * r_c  # (16), (21)
    l_term, c_term, h_term = d_l / s_l, d_c / s_c, d_h / s_h
    return np.sqrt(np.maximum(l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term, 0))  # (22)
