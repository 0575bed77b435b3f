"""From linear layers to pictures: denoising, exposure, white balance, tone curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .palette import LUMINANCE, to_srgb
from .tracer import Layers, repaint

LIGHT_REPAINT = 0.7  # the exposure is metered with this grey on the wall, for every paint of the room


@lru_cache
def _device():
    import pyoidn

    device = pyoidn.Device(pyoidn.OIDN_DEVICE_TYPE_CPU)
    device.set_int("numThreads", 1)
    device.set_bool("setAffinity", False)
    device.commit()
    return pyoidn, device


def denoise(colour: np.ndarray, albedo: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Intel Open Image Denoise on a linear picture (H, W, 3) with its guides."""
    oidn, device = _device()
    images = [np.ascontiguousarray(a, np.float32) for a in (colour, np.clip(albedo, 0, 1), normal)]
    result = np.empty_like(images[0])
    flt = oidn.Filter(device, oidn.OIDN_FILTER_TYPE_RT)
    try:
        names = (oidn.OIDN_IMAGE_COLOR, oidn.OIDN_IMAGE_ALBEDO, oidn.OIDN_IMAGE_NORMAL, oidn.OIDN_IMAGE_OUTPUT)
        for name, image in zip(names, [*images, result], strict=True):
            flt.set_image(name, image, oidn.OIDN_FORMAT_FLOAT3)
        flt.set_bool("hdr", True)
        flt.commit()
        flt.execute()
        message = device.get_error()
        if message is not None:
            raise RuntimeError(f"denoising failed: {message}")
    finally:
        flt.release()
    return result


GREYS = (0.05, 0.3, 0.6, 0.9)  # a cubic through these is within 0.1 of 255 of any paint's picture


def series(layers: Layers) -> np.ndarray:
    """The denoised room as a cubic in the wall's albedo: (4, H, W, 3) linear, picture(ρ) = Σ_k ρ^k series[k].

    Any paint follows from it, and any camera may photograph it (Dong et al., SIGGRAPH 2015: albedo edits as a
    weighted sum of pictures by the number of interactions).
    """
    guides = [layers.albedo + layers.wall[..., None] * grey for grey in GREYS]
    shown = [
        denoise(repaint(layers.bins, (grey,) * 3), guide, layers.normal)
        for grey, guide in zip(GREYS, guides, strict=True)
    ]
    inverse = np.linalg.inv(np.vander(GREYS, increasing=True))
    return np.einsum("kg,ghwc->khwc", inverse, np.stack(shown)).astype(np.float32)


@dataclass(frozen=True)
class Exposure:
    """Gains (3,) a channel: exposure times white balance, the same for all paints of a view."""

    gain: np.ndarray

    def develop(self, linear: np.ndarray) -> np.ndarray:
        """Linear radiance to sRGB uint8 with a soft shoulder above 0.65."""
        x = np.maximum(linear * self.gain, 0)
        knee, room = 0.65, 0.35
        x = np.where(x > knee, knee + room * (1 - np.exp(-(x - knee) / room)), x)
        return to_srgb(x)


def meter(layers: Layers, rng: np.random.Generator, dim: float = 1.0) -> Exposure | None:
    """Exposure from the light repaint; None where the wall cannot be exposed well."""
    light = repaint(layers.bins, (LIGHT_REPAINT,) * 3)
    wall = layers.wall > 0.5
    if not wall.any():
        return None
    tint = np.median(light[wall], 0)
    luminance = light @ LUMINANCE
    middle = np.median(luminance[wall])
    if not middle > 1e-4:
        return None
    aim = rng.uniform(0.40, 0.58) * dim
    # Highlights bound the exposure: most of the picture stays below the shoulder's end.
    gain = min(aim / middle, 1.15 / np.percentile(luminance, 92))
    if gain * middle < 0.2 * dim:
        return None
    balance = (tint.mean() / np.maximum(tint, 1e-5)) ** rng.uniform(0.65, 0.95)
    balance /= balance @ LUMINANCE
    return Exposure((gain * balance).astype(np.float32))


def picture(layers: Layers, paint, exposure: Exposure, wall_albedo=None) -> np.ndarray:
    """The developed, denoised picture (H, W, 3) uint8 with the linear albedo ``paint`` on the wall.

    ``wall_albedo`` (H, W, 3) guides the denoiser instead where the wall has a pattern.
    """
    shown = np.asarray(paint) if wall_albedo is None else wall_albedo
    guide = layers.albedo + layers.wall[..., None] * shown
    return exposure.develop(denoise(repaint(layers.bins, paint), guide, layers.normal))
