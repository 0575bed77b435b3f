"""The training methods, one table: what the UNet is told, what learns, which losses pull.

Nothing else in the package branches on a method's name; a new method is a new row.
"""

from collections.abc import Collection
from dataclasses import dataclass

TEXT_AND_IMAGE = ("text", "image_prompt")
EXAMPLE = ("example",)
OBJECT = ("identity", "detail")
LOSS = ("diffusion",)


@dataclass(frozen=True)
class Method:
    """One row of the table.

    `conditions` names rows of `conditions.CONDITIONS`, `losses` rows of `losses.LOSSES`, and `learns` rows of
    `denoiser.GROUPS`, the parameters that may move; everything else stays bit-identical. `reads` is the row of
    `encoders.ENCODERS` that reference pictures are encoded by for training.
    """

    name: str
    study_name: str
    reference: str  # what the reference picture is, unless the settings say another: '' (none), 'swatch' (a
    # plain picture of the paint), 'self_crop' (a piece of the wall itself), 'other_view' (of the same wall in
    # another picture of the room, where there is one)
    conditions: tuple[str, ...]
    learns: tuple[str, ...]
    losses: tuple[str, ...]
    reads: str = "tokens"
    paints: tuple[str, ...] = TEXT_AND_IMAGE  # its conditions when it paints: the adapter joins every LoRA
    base: str = ""  # the field of Family that names a UNet of its own, where the family has one
    shown: str = ""  # where the wall was: '' (it is blanked), 'field' or 'recolor' (that classical repaint)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lora", "LoRA alone (old)", "", ("text",), ("lora",), LOSS),
        Method("lora_ip", "Sequential (new)", "swatch", TEXT_AND_IMAGE, ("lora",), LOSS),
        Method("lora_ip_color", "Sequential + colour loss", "swatch", TEXT_AND_IMAGE, ("lora",), (*LOSS, "color")),
        Method("refine", "Refine", "swatch", TEXT_AND_IMAGE, ("lora",), (*LOSS, "color"), shown="field"),
        Method("joint", "Joint", "swatch", TEXT_AND_IMAGE, ("lora", "ip_adapter"), LOSS, "states"),
        Method("ip_adapter", "IP-Adapter training", "swatch", TEXT_AND_IMAGE, ("ip_adapter",), LOSS, "states"),
        Method(
            *("paint_by_example", "Paint-by-Example", "self_crop", EXAMPLE, ("lora", *EXAMPLE), LOSS, "example"),
            paints=EXAMPLE,
            base="paint_by_example_model",
        ),
        Method("anydoor", "AnyDoor", "other_view", OBJECT, ("lora", *OBJECT), LOSS, "identity", paints=OBJECT),
    )
}


def painted_as(learned: Collection[str]) -> Method:
    """The method whose way of painting weights of these groups need: what was learned says how it paints.

    Methods that learn the same groups paint alike, so any of them will do. Groups that no method learns
    together, such as a LoRA's without its example encoder, paint as a LoRA does.
    """
    wanted = [m for m in METHODS.values() if set(m.learns) == set(learned)]
    return wanted[0] if wanted else METHODS["lora"]
