"""Denoiser: the UNet with its conditions; `build_denoiser` freezes all but what a method learns."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import nn

from wallpaint.conditions import CONDITIONS, ImagePrompt, NoImagePrompt
from wallpaint.draws import Draws
from wallpaint.methods import Method
from wallpaint.models import Models, send, set_ip_adapter_scale

# The UNet's own attention by full pattern: plain suffixes would also wrap the adapter's Resampler.
_ATTENTION = r"attn[12]\.(to_q|to_k|to_v|to_out\.0)"
LORA_TARGETS = {
    "attention": rf".*\.{_ATTENTION}",
    "all": rf"(down_blocks|mid_block|up_blocks)\..*\.({_ATTENTION}|proj_in|proj_out|ff\.net\.0\.proj"
    r"|ff\.net\.2|conv1|conv2|conv_shortcut|time_emb_proj)",
}


@dataclass(frozen=True)
class Noised:
    """Noisy latents on their way: `latents` (B, 4, h, w) float32 at `timesteps` (B,) int64.

    `noise` and `target` (what the UNet should say) are known in training only.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    noise: torch.Tensor | None = None
    target: torch.Tensor | None = None

    def to(self, device: torch.device) -> "Noised":
        """The same on `device`."""
        return Noised(*(None if t is None else send(t, device) for t in vars(self).values()))


def add_noise(
    latents: torch.Tensor, scheduler: DDIMScheduler, draws: Draws, noise_offset: float = 0.0
) -> Noised:
    """Draw noise and timesteps (on the CPU, so that seeds agree across machines) and mix them in.

    The target follows the scheduler's `prediction_type`: the noise (epsilon) or the velocity (v_prediction).
    """
    noise = draws.randn(*latents.shape[1:])
    if noise_offset:
        noise += noise_offset * draws.randn(latents.shape[1], 1, 1)
    steps = scheduler.config.num_train_timesteps
    timesteps = draws.randint(steps).to(latents.device)
    noise = noise.to(latents.device)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    targets = {
        "epsilon": lambda: noise,
        "v_prediction": lambda: scheduler.get_velocity(latents, noise, timesteps),
    }
    return Noised(noisy, timesteps, noise, targets[scheduler.config.prediction_type]())


class Denoiser(nn.Module):
    """The inpainting UNet and its conditions: `noise_pred = denoiser(noised, batch)`."""

    def __init__(self, unet: nn.Module, conditions: list[nn.Module]):
        super().__init__()
        self.unet = unet
        self.conditions = nn.ModuleList(conditions)

    def forward(self, noised: Noised, batch: Any) -> torch.Tensor:
        """What the UNet says of the noise: (B, 4, h, w) float32.

        Args:
            noised: latents (B, 4, h, w) and timesteps (B,).
            batch: `mask` (B, 1, h, w), `masked_image_latents` (B, 4, h, w), and what the conditions read.
        """
        told: dict[str, Any] = {}
        for condition in self.conditions:
            told |= condition(batch, noised)
        told = _cast(told, self.unet.dtype)
        latents = torch.cat([noised.latents, batch.mask, batch.masked_image_latents], dim=1)
        # Autocast would run every norm in float32 and keep that for the backward pass: the frozen layers are
        # of their dtype already, and what learns casts itself.
        with torch.autocast(latents.device.type, enabled=False):
            return self.unet(latents.to(self.unet.dtype), noised.timesteps, **told).sample.float()


def build_denoiser(
    models: Models, method: Method, lora_rank: int = 16, lora_alpha: int = 32, lora_dropout: float = 0.0,
    lora_target: str = "attention",
    ip_adapter_scale: float = 1.0, gradient_checkpointing: bool = False,
) -> Denoiser:  # fmt: skip
    """Freeze everything, attach what the method learns, and open exactly that.

    The LoRA starts from torch's global generator: seed it first. A method without `image_prompt` trains with
    the adapter silent (scale 0), which is bit for bit the UNet without it.
    """
    unet, hears_image = models.unet, "image_prompt" in method.conditions
    for module in (unet, models.image_proj, models.vae, models.text_encoder, models.image_encoder):
        module.requires_grad_(False)
    set_ip_adapter_scale(unet, ip_adapter_scale if hears_image else 0.0)
    learns_adapter = "ip_adapter" in method.learns
    conditions: list[nn.Module] = [] if hears_image else [NoImagePrompt()]
    for name in method.conditions:
        projection = (models.image_proj,) if name == "image_prompt" and learns_adapter else ()
        conditions.append(CONDITIONS[name](*projection))
    denoiser = Denoiser(unet, conditions)
    if "lora" in method.learns:  # this freezes all that is no LoRA, so the adapter is opened after it
        shape = {"r": lora_rank, "lora_alpha": lora_alpha, "lora_dropout": lora_dropout}
        unet.add_adapter(LoraConfig(target_modules=LORA_TARGETS[lora_target], **shape))
    for group in method.learns:
        for parameter in parameter_groups(denoiser)[group].values():
            parameter.data = parameter.data.float()  # what learns is float32; autocast does the rest
            parameter.requires_grad_(True)
    _cast_along(unet)
    if gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    return denoiser


class CastLinear(nn.Linear):
    """A float32 layer among frozen ones of another dtype: it computes in that of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As nn.Linear, without a bias."""
        return F.linear(x, self.weight.to(x.dtype))


class CastConv2d(nn.Conv2d):
    """The same for a convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As nn.Conv2d, without a bias."""
        return self._conv_forward(x, self.weight.to(x.dtype), None)


def _cast_along(unet: nn.Module) -> None:
    """Let what learns in the UNet compute in the dtype of the frozen layers round it, and not the reverse."""
    cast: dict[type, type] = {nn.Linear: CastLinear, nn.Conv2d: CastConv2d}
    for module in unet.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False  # peft would copy every input to float32
        elif type(module) in cast and module.weight.requires_grad:
            assert module.bias is None, "a LoRA and the adapter's keys and values have none"
            module.__class__ = cast[type(module)]


def painting_denoiser(models: Models) -> Denoiser:
    """The denoiser as it paints, whatever was learnt: text and adapter both heard, tokens given."""
    return Denoiser(models.unet, [CONDITIONS["text"](), ImagePrompt()])


def parameter_groups(denoiser: Denoiser) -> dict[str, dict[str, nn.Parameter]]:
    """The groups a method may learn, by name: {'lora': {...}, 'ip_adapter': {...}, 'frozen': {...}}."""
    groups: dict[str, dict[str, nn.Parameter]] = {"lora": {}, "ip_adapter": {}, "frozen": {}}
    for name, parameter in denoiser.named_parameters():
        adapter = "_ip." in name or ".image_proj." in name
        groups["lora" if ".lora_" in name else "ip_adapter" if adapter else "frozen"][name] = parameter
    return groups


def _cast(value: Any, dtype: torch.dtype) -> Any:
    """Every float tensor in a nest of dicts and lists to `dtype`."""
    if isinstance(value, dict):
        return {key: _cast(item, dtype) for key, item in value.items()}
    if isinstance(value, list):
        return [_cast(item, dtype) for item in value]
    return value.to(dtype)
