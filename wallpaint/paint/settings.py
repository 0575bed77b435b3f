"""How to paint: one set of settings for every arm."""

from collections.abc import Callable
from dataclasses import dataclass

from wallpaint.pixels.color import Swatch

COMPARED_ARMS = ("old", "new", "color", "refine", "recolor")  # unless others are asked for
OnStep = Callable[[float], None]  # gets the share that is done, 0 to 1; what it raises ends the painting


@dataclass(frozen=True)
class SamplingSettings:
    """How to paint, the same for every arm; None takes what the family, or the arm's own run, has.

    Attributes:
        seed: of the noise, drawn on the CPU and the same for every arm.
        num_inference_steps: None takes the family's.
        guidance_scale: 1 switches guidance off, None takes the family's.
        ip_adapter_scale: strength of the image adapter; None takes what each arm's run was trained with, or 1.
        prompt: what the picture shows; None takes the usual one, or a row's own.
        old_paint: the paint on the wall now, where it is known: the classical repaint need not read it off.
        bounce: let the new wall throw its light on what surrounds it; off, no pixel outside the mask changes.
    """

    seed: int = 0
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    ip_adapter_scale: float | None = None
    prompt: str | None = None
    old_paint: Swatch | None = None
    bounce: bool = False


def share_of(on_step: OnStep | None, before: int, count: int, total: int) -> OnStep | None:
    """What gets the share of `count` arms that is done, to tell the share of all `total`, `before` being done."""
    return on_step and (lambda share: on_step((before + share * count) / total))
