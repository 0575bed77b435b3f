"""Where an arm's learned weights lie. Imports no torch: whether there are any is asked before anything is loaded."""

from dataclasses import dataclass, field
from pathlib import Path

from wallpaint.errors import UserError
from wallpaint.learned.lora_files import ADAPTER, describe_lora

LORA_NAME = "pytorch_lora_weights.safetensors"
LORA_NAMES = (LORA_NAME, "adapter_model.safetensors")  # diffusers' and peft's
ADAPTER_NAME = "ip_adapter.safetensors"
PART_NAMES = {"example": "image_encoder", "identity": "identity.safetensors", "detail": "controlnet"}


@dataclass(frozen=True)
class ArmFiles:
    """Where an arm's learned weights are; None for what it does not have."""

    lora: Path | None
    adapter: Path | None
    parts: dict[str, Path] = field(default_factory=dict)  # by group: 'example', 'identity', 'detail'

    @property
    def groups(self) -> tuple[str, ...]:
        """What was learned, as in `Method.learns`."""
        own = {"lora": self.lora, "ip_adapter": self.adapter, **self.parts}
        return tuple(group for group, path in own.items() if path)


def find_arm(path: str | Path) -> ArmFiles:
    """The learned files of a run folder, of a weights folder, or a `.safetensors` file itself.

    Raises:
        UserError: there are none.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() != ".safetensors":
            raise UserError(f"{path} is not a .safetensors file: give one, or a run folder")
        return ArmFiles(None, path) if describe_lora(path).kind == ADAPTER else ArmFiles(path, None)
    for folder in (path / "weights", path):
        lora, adapter = (
            next((folder / name for name in names if (folder / name).is_file()), None)
            for names in (LORA_NAMES, (ADAPTER_NAME,))
        )
        parts = {group: folder / name for group, name in PART_NAMES.items() if (folder / name).exists()}
        if lora or adapter or parts:
            return ArmFiles(lora, adapter, parts)
    names = ", ".join((*LORA_NAMES, ADAPTER_NAME, *PART_NAMES.values()))
    raise UserError(
        f"no learned weights in {path} (looked for {names}): "
        "give a run folder whose training has saved some, or a .safetensors file"
    )
