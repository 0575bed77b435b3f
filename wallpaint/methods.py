"""The training methods, one table: what the UNet is told, what learns, which losses pull.

Nothing else in the package branches on a method's name; a new method is a new row.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One row of the table.

    `conditions` names rows of `conditions.CONDITIONS`, `losses` rows of `losses.LOSSES`, and `learns` the
    parameter groups that may move ('lora', 'ip_adapter'); everything else stays bit-identical.
    """

    name: str
    study_name: str
    reference: str  # what the reference image is: '' (none) or 'swatch' (a plain picture of the paint)
    conditions: tuple[str, ...]
    learns: tuple[str, ...]
    losses: tuple[str, ...]


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lora", "LoRA alone (old)", "", ("text",), ("lora",), ("diffusion",)),
        Method("lora_ip", "Sequential (new)", "swatch", ("text", "image_prompt"), ("lora",), ("diffusion",)),
        Method(
            "lora_ip_color", "Sequential + colour loss", "swatch",
            ("text", "image_prompt"), ("lora",), ("diffusion", "color"),
        ),
        Method(
            "joint", "Joint", "swatch",
            ("text", "image_prompt"), ("lora", "ip_adapter"), ("diffusion",),
        ),
        Method(
            "ip_adapter", "IP-Adapter training", "swatch",
            ("text", "image_prompt"), ("ip_adapter",), ("diffusion",),
        ),
    )
}  # fmt: skip
