"""How to paint: one set of settings for every arm."""

from collections.abc import Callable
from dataclasses import dataclass

COMPARED_ARMS = ("old", "new", "color", "refine", "recolor")  # unless others are asked for
OnStep = Callable[[float], None]  # gets the share that is done, 0 to 1; what it raises ends the painting


@dataclass(frozen=True)
class SamplingSettings:
    """How to paint, the same for every arm; None takes what the family, or the arm's own run, has."""

    seed: int = 0  # of the noise, drawn on the CPU and the same for every arm
    num_inference_steps: int | None = None
    guidance_scale: float | None = None  # 1 switches guidance off
    ip_adapter_scale: float | None = None  # strength of the image adapter; 1 where no run says another
    prompt: str | None = None  # what the picture shows; None takes the usual one, or a row's own
    bounce: bool = False  # the new wall throws its light on what surrounds it; off, all outside the mask stays


def share_of(on_step: OnStep | None, before: int, count: int, total: int) -> OnStep | None:
    """`on_step` for `count` of `total` arms when `before` are done: turns their share done into that of all."""
    return on_step and (lambda share: on_step((before + share * count) / total))
