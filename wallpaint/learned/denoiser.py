"""Denoiser: the UNet with its conditions; `build_denoiser` freezes all but what a method learns.

What of it is in which precision is decided in `precision`.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from peft import LoraConfig
from torch import nn

from wallpaint.cache.draws import Draws
from wallpaint.learned.conditions import make_conditions
from wallpaint.learned.precision import cast, cast_where_they_meet
from wallpaint.models.bundle import Models, send, set_ip_adapter_scale
from wallpaint.models.families import INPAINTING
from wallpaint.settings.methods import TEXT_AND_IMAGE, Method

# The UNet's own attention by full pattern: plain suffixes would also wrap the adapter's Resampler.
_ATTENTION = r"attn[12]\.(to_q|to_k|to_v|to_out\.0)"
LORA_TARGETS = {
    "attention": rf".*\.{_ATTENTION}",
    "all": rf"(down_blocks|mid_block|up_blocks)\..*\.({_ATTENTION}|proj_in|proj_out|ff\.net\.0\.proj"
    r"|ff\.net\.2|conv1|conv2|conv_shortcut|time_emb_proj)",
}
GROUPS = {  # what may learn, by the names of the denoiser's parameters
    "lora": r"\.lora_",
    "ip_adapter": r"_ip\.|\.image_proj\.",
    "example": r"\.example\.(?!model\.)",  # its CLIP stays as it is
    "identity": r"\.identity\.",
    "detail": r"\.detail\.",
}


@dataclass(frozen=True)
class Noised:
    """Noisy latents on their way: `latents` (B, 4, h, w) float32 at `timesteps` (B,) int64.

    `noise` and `target` (what the UNet should predict) are known in training only.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor | None = None
    target: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Noised":
        """The same on `device`."""
        return Noised(*(None if t is None else send(t, device) for t in vars(self).values()))


def add_noise(
    latents: torch.Tensor,
    scheduler: DDIMScheduler,
    draws: Draws,
    noise_offset: float = 0.0,
    timestep_bias: float = 0.0,
) -> Noised:
    """Draw noise and timesteps (on the CPU, so that seeds agree across machines) and mix them in.

    The target follows the scheduler's `prediction_type`: the noise (epsilon) or the velocity (v_prediction).
    `timestep_bias` is the share of samples whose timestep is drawn from the last tenth, see TrainConfig.
    """
    noise = draws.randn(*latents.shape[1:])
    if noise_offset:
        noise += noise_offset * draws.randn(latents.shape[1], 1, 1)
    steps = scheduler.config.num_train_timesteps
    timesteps = draws.randint(steps)
    if timestep_bias:
        timesteps = torch.where(draws.rand() < timestep_bias, steps - 1 - timesteps // 10, timesteps)
    noise, timesteps = noise.to(latents.device), timesteps.to(latents.device)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    targets = {"epsilon": lambda: noise, "v_prediction": lambda: scheduler.get_velocity(latents, noise, timesteps)}
    return Noised(noisy, timesteps, noise, targets[scheduler.config.prediction_type]())


class Denoiser(nn.Module):
    """The inpainting UNet and its conditions: `noise_pred = denoiser(noised, batch)`."""

    def __init__(
        self, unet: nn.Module, conditions: list[nn.Module], takes: tuple[str, ...] = INPAINTING, shown: str = ""
    ):
        super().__init__()
        self.unet = unet
        self.conditions = nn.ModuleList(conditions)
        self.takes = takes  # what the UNet takes in, in its order
        self.shown = shown  # what the masked picture has in the wall's place, see Method.shown

    @property
    def reads(self) -> str:
        """The row of `encoders.ENCODERS` that a batch's `image_embeds` come from."""
        return next((str(c.reads) for c in self.conditions if hasattr(c, "reads")), "tokens")

    def forward(self, noised: Noised, batch: Any) -> torch.Tensor:
        """The UNet's prediction: (B, 4, h, w) float32.

        Args:
            noised: latents (B, 4, h, w) and timesteps (B,).
            batch: `mask` (B, 1, h, w), `masked_image_latents` (B, 4, h, w), and what the conditions read.
        """
        available = {
            "latents": noised.latents,
            "mask": batch.mask,
            "kept": 1 - batch.mask,
            "masked_image_latents": batch.masked_image_latents,
        }
        sample = torch.cat([available[name] for name in self.takes], dim=1)
        inputs: dict[str, Any] = {"sample": sample, "timestep": noised.timesteps}
        for condition in self.conditions:
            inputs |= condition(batch, inputs)
        # `unet.dtype` would go through all its parameters, at every step.
        inputs = cast(inputs, self.unet.conv_in.weight.dtype)
        with torch.autocast(sample.device.type, enabled=False):
            return self.unet(**inputs).sample.float()


def build_denoiser(
    models: Models,
    method: Method,
    lora_rank: int = 16,
    lora_alpha: int = 32,
    lora_dropout: float = 0.0,
    lora_target: str = "attention",
    ip_adapter_scale: float = 1.0,
    gradient_checkpointing: bool = False,
) -> Denoiser:
    """Freeze everything, attach what the method learns, and open exactly that.

    The LoRA starts from torch's global generator: seed it first. A method without `image_prompt` trains with
    the adapter silent (scale 0), which is bit for bit the UNet without it.
    """
    unet = models.unet
    for module in (*models.modules, *models.parts.values()):
        module.requires_grad_(False)
    set_adapter_strength(models, method.conditions, ip_adapter_scale)
    conditions = make_conditions(models, method.conditions, "ip_adapter" in method.learns)
    denoiser = Denoiser(unet, conditions, models.family.unet_takes, method.shown)
    if "lora" in method.learns:  # this freezes all that is no LoRA, so the adapter is opened after it
        shape = {"r": lora_rank, "lora_alpha": lora_alpha, "lora_dropout": lora_dropout}
        unet.add_adapter(LoraConfig(target_modules=LORA_TARGETS[lora_target], **shape))
    for group in method.learns:
        for parameter in parameter_groups(denoiser)[group].values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    cast_where_they_meet(unet)
    if gradient_checkpointing:
        for module in (unet, *models.parts.values()):
            if getattr(module, "_supports_gradient_checkpointing", False):
                module.enable_gradient_checkpointing()
    return denoiser


def compile_blocks(model: nn.Module) -> None:
    """Compile the repeated blocks of a UNet, or of a VAE's decoder, where they stand.

    A graph a shape: minutes once, then faster.
    """
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)  # a graph a size
    for module in model.modules():
        if type(module).__name__ in ("ResnetBlock2D", "Transformer2DModel"):
            module.compile(dynamic=False)


def painting_denoiser(models: Models, paints: tuple[str, ...] = TEXT_AND_IMAGE, shown: str = "") -> Denoiser:
    """The denoiser as it paints with the conditions `paints`, see `Method.paints` and `shown`; tokens are given."""
    return Denoiser(models.unet, make_conditions(models, paints), models.family.unet_takes, shown)


def set_adapter_strength(models: Models, conditions: tuple[str, ...], scale: float) -> None:
    """Let the adapter act as strongly as `scale` where its image prompt is a condition, and be silent elsewhere."""
    set_ip_adapter_scale(models.unet, scale if "image_prompt" in conditions else 0.0)


def parameter_groups(denoiser: Denoiser) -> dict[str, dict[str, nn.Parameter]]:
    """The parameters by group: those of GROUPS, which a method may learn, and 'frozen'."""
    groups: dict[str, dict[str, nn.Parameter]] = {group: {} for group in (*GROUPS, "frozen")}
    for name, parameter in denoiser.named_parameters():
        group = next((g for g, pattern in GROUPS.items() if re.search(pattern, name)), "frozen")
        groups[group][name] = parameter
    return groups
