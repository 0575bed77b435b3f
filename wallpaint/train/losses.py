"""The losses, one table: `losses = {name: weight * LOSSES[name](step) for name, weight in active}`.

All of it is float32, outside autocast: in bf16 a LAB value is off by up to 2.6 units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler

from wallpaint.cache.batches import Batch
from wallpaint.cache.draws import Draws
from wallpaint.errors import UserError
from wallpaint.learned.denoiser import Noised
from wallpaint.models.bundle import Models, send
from wallpaint.models.latents import decode_latents
from wallpaint.pixels.color import EPSILON, KAPPA, RGB_TO_XYZ, WHITE
from wallpaint.settings.train_config import TrainConfig

LINEAR_BELOW = 0.04045  # of sRGB's curve
Box = tuple[int, int, int, int]  # top, left, height, width
TRUST_FLOOR = 0.25  # of SD1.5's timesteps 52 % lie above it, with 90 % of the weight
DECODE_BATCH = 4  # pieces decoded at a time
COLOR_SCALE = 100.0  # the shaded loss counts in hundreds of LAB units, about the size of the diffusion loss


@dataclass(frozen=True)
class Step:
    """What the losses of a step may look at; pictures and latents are batches of B."""

    noise_pred: torch.Tensor  # (B, 4, h, w) float32
    noised: Noised
    batch: Batch
    models: Models
    config: TrainConfig
    draws: Draws  # the step's own
    drawn: tuple[Batch, Noised] | None = None  # the same on the CPU: choices made there wait for no device


def diffusion_loss(step: Step) -> torch.Tensor:
    """Mean squared error of the prediction.

    `snr_gamma` weights timesteps by min-SNR (https://arxiv.org/abs/2303.09556); `mask_loss_weight` below 1
    lets the wall count for more than what is not repainted. The weights of a sample's pixels average to 1.
    """
    config, noised, scheduler = step.config, step.noised, step.models.noise_scheduler
    assert noised.target is not None, "noise was added for painting, not for training"
    error = (step.noise_pred.float() - noised.target.float()).square()
    if config.mask_loss_weight < 1:
        inside = step.batch.mask
        weight = inside + (1 - inside) * config.mask_loss_weight
        error = error * weight / weight.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    error = error.mean(dim=(1, 2, 3))
    if config.snr_gamma:
        alpha = alphas_cumprod(scheduler, noised.timesteps)
        snr = alpha / (1 - alpha).clamp(min=1e-8)
        velocity = scheduler.config.prediction_type == "v_prediction"
        error = error * snr.clamp(max=config.snr_gamma) / (snr + 1 if velocity else snr.clamp(min=1e-8))
    return error.mean()


def color_loss(step: Step) -> torch.Tensor:
    """The colour of the predicted wall, decoded on a piece of it, against the best that the VAE can decode.

    Weighted by how far the timestep lets a predicted picture be trusted, see `trust`. A few pieces are
    decoded at a time and their gradient is taken at once: the decoder keeps little, and sees one shape.
    """
    scheduler, config = step.models.noise_scheduler, step.config
    drawn, drawn_noise = step.drawn or (step.batch, step.noised)
    trusted = (trust(scheduler, drawn_noise.timesteps) > TRUST_FLOOR).cpu()  # others cost a decode and hardly count
    if not trusted.any():
        return 0.0 * step.noise_pred.float().sum()
    size, decode_batch = step.noise_pred.shape[-2:], min(DECODE_BATCH, len(trusted))
    # In latents the piece is cut before decoding; a full decode would cost more than the step itself.
    side = min(config.color_loss_crop, 3 * min(size) // 8)
    rows = trusted.nonzero()[:, 0].tolist()
    boxes = draw_boxes(drawn.wall[trusted], size, side, step.draws.pick(trusted))
    predicted = predict_latents(step.noise_pred, step.noised, scheduler)
    total, gradient = predicted.new_zeros(()), torch.zeros_like(predicted)
    for start in range(0, len(rows), decode_batch):
        some, places = rows[start : start + decode_batch], boxes[start : start + decode_batch]
        loss, gradients = _decoded_loss(step, predicted, some, places, decode_batch)
        total = total + loss
        for row, (y, x, h, w), piece_gradient in zip(some, places, gradients, strict=False):
            gradient[row, :, y : y + h, x : x + w] = piece_gradient
    surrogate = (predicted * gradient).sum()
    return total + surrogate - surrogate.detach()  # of this value, with that gradient


def _decoded_loss(
    step: Step, predicted: torch.Tensor, rows: list[int], boxes: list[Box], decode_batch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The colour loss of some rows, their share of the batch's mean, and its gradient by their boxes."""
    device, fill = predicted.device, decode_batch - len(rows)  # what fills up to one shape weighs nothing
    index = send(torch.tensor(rows + rows[:1] * fill), device)
    share = send(torch.tensor([1.0] * len(rows) + [0.0] * fill), device) / len(predicted)
    weight = trust(step.models.noise_scheduler, step.noised.timesteps[index]) * share
    boxes, factor = boxes + boxes[:1] * fill, step.models.latent_factor
    batch = step.batch.pick(index)
    wall = cut(batch.wall, [(factor * y, factor * x, factor * h, factor * w) for y, x, h, w in boxes])
    with torch.no_grad():
        reference = decode_latents(step.models, cut(batch.latents, boxes))
    pieces = cut(predicted.detach()[index], boxes).requires_grad_()
    with torch.set_grad_enabled(predicted.requires_grad):
        picture = decode_latents(step.models, pieces)
        consistency = ColorConsistencyLoss(step.config.color_loss_mode)
        loss = decode_batch * consistency(picture, wall, batch.color, reference, weight)  # of a mean, the sum
    gradients = torch.autograd.grad(loss, pieces)[0] if loss.requires_grad else torch.zeros_like(pieces)
    return loss.detach(), gradients


LOSSES: dict[str, Callable[[Step], torch.Tensor]] = {"diffusion": diffusion_loss, "color": color_loss}


class ColorConsistencyLoss:
    """How far the colour of a wall is from its paint.

    `flat` is the study's formula to the letter: mse(lab(picture) * mask, lab(swatch)) over the whole picture.
    It asks every pixel of the wall for the flat swatch, and so paints out light and shadow; the share outside
    the mask is a constant without gradient.

    `shaded` asks for the paint in the wall's own light. Where there is a `reference`, the same wall in that
    very paint as the VAE says it, each pixel is asked for the reference's: so lightness, too, has a target,
    and light and shadow stay. Without one the picture's own lightness is kept and the swatch's hue and chroma
    are asked for: scaling linear RGB by s scales a, b and L + 16 by s^(1/3), so where the wall has lightness
    L a perfect paint has ab* (L + 16) / (L* + 16).
    """

    def __init__(self, mode: str = "shaded"):
        if mode not in ("shaded", "flat"):
            raise UserError(f"color_loss_mode {mode!r} does not exist in the training settings: use shaded or flat")
        self.mode = mode

    def __call__(
        self,
        picture: torch.Tensor,
        wall: torch.Tensor,
        color: torch.Tensor,
        reference: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """A scalar; it and its gradient are finite at black, at neutral, outside 0 to 1 and without a wall.

        Args:
            picture: (B, 3, H, W) sRGB, about 0 to 1.
            wall: (B, 1, H, W), 1 = wall.
            color: (B, 3) sRGB of the paint.
            reference: (B, 3, H, W), the wall in that paint; None where there is no such picture.
            weight: (B,), 1 by default.
        """
        with torch.autocast(picture.device.type, enabled=False):
            lab, paint = tensor_to_lab(picture.float()), tensor_to_lab(color.float()[:, :, None, None])
            weight = torch.ones(len(lab), device=lab.device) if weight is None else weight.float()
            wall = wall.float()
            if self.mode == "flat":
                each = (lab * wall - paint).square().mean(dim=(1, 2, 3))
            else:
                target = shade(paint, lab[:, :1]) if reference is None else tensor_to_lab(reference.float())
                # The 1e-2 keeps the root's gradient finite where the target is met.
                distance = ((lab - target.detach()).square().sum(1, keepdim=True) + 1e-2).sqrt() / COLOR_SCALE
                each = (distance * wall).sum(dim=(1, 2, 3)) / wall.sum(dim=(1, 2, 3)).clamp(min=1)
            return (each * weight).mean()


def shade(paint: torch.Tensor, lightness: torch.Tensor) -> torch.Tensor:
    """LAB (B, 3, 1, 1) of a paint where its wall has this lightness (B, 1, H, W): (B, 3, H, W)."""
    ratio = ((lightness + 16) / (paint[:, :1] + 16)).clamp(min=0)
    return torch.cat([lightness, paint[:, 1:] * ratio], dim=1)


def tensor_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) sRGB to CIELAB, float32; it goes on outside 0 to 1, so that no gradient is lost there."""
    # Both arms of a `where` are differentiated: the clamps keep the unused one finite.
    curve = ((rgb.clamp(min=LINEAR_BELOW) + 0.055) / 1.055) ** 2.4
    linear = torch.where(rgb > LINEAR_BELOW, curve, rgb / 12.92)
    matrix = send(torch.tensor(RGB_TO_XYZ / WHITE[:, None], dtype=torch.float32), rgb.device)
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear)
    f = torch.where(xyz > EPSILON, xyz.clamp(min=EPSILON) ** (1 / 3), (KAPPA * xyz + 16) / 116)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def predict_latents(noise_pred: torch.Tensor, noised: Noised, scheduler: DDIMScheduler) -> torch.Tensor:
    """The clean latents x0 that a prediction implies, (B, 4, h, w) float32."""
    alpha = alphas_cumprod(scheduler, noised.timesteps)[:, None, None, None]
    signal, noise = alpha.sqrt(), (1 - alpha).sqrt()
    if scheduler.config.prediction_type == "v_prediction":
        return signal * noised.latents - noise * noise_pred.float()
    return (noised.latents - noise * noise_pred.float()) / signal.clamp(min=1e-4)


def alphas_cumprod(scheduler: DDIMScheduler, timesteps: torch.Tensor) -> torch.Tensor:
    """Alpha-bar of each timestep: the signal's share of the variance, (B,) float32."""
    return send(scheduler.alphas_cumprod, timesteps.device)[timesteps].float()


def trust(scheduler: DDIMScheduler, timesteps: torch.Tensor) -> torch.Tensor:
    """1 / (1 + n^2) for a predicted picture whose error is n times the prediction's, (B,) float32.

    A noise prediction says the picture with n = sqrt((1 - a) / a), so this is alpha-bar; a velocity
    prediction says it with n = sqrt(1 - a), which never drowns it: even pure noise weighs a half.
    """
    alpha = alphas_cumprod(scheduler, timesteps)
    return 1 / (2 - alpha) if scheduler.config.prediction_type == "v_prediction" else alpha


def draw_boxes(wall: torch.Tensor, size: tuple[int, int], side: int, draws: Draws) -> list[Box]:
    """A (top, left, height, width) in latents a sample, about a pixel of its wall drawn at random.

    Args:
        wall: (B, 1, H, W), 1 = wall.
        size: (h, w) of the latents.
        side: of the box; 0 or one that does not fit takes the whole picture.
        draws: one a sample.
    """
    height, width = size
    box = (min(side or height, height), min(side or width, width))
    coarse = F.adaptive_max_pool2d(wall.float(), size).flatten(1).cpu()
    shares = (coarse + 1e-6).cumsum(1)  # the point of it where a draw falls is a pixel of the wall
    points = torch.searchsorted(shares, draws.rand()[:, None] * shares[:, -1:])[:, 0]
    centres = points.clamp(max=height * width - 1).tolist()
    tops = [min(max(c // width - box[0] // 2, 0), height - box[0]) for c in centres]
    lefts = [min(max(c % width - box[1] // 2, 0), width - box[1]) for c in centres]
    return [(top, left, *box) for top, left in zip(tops, lefts, strict=True)]


def cut(tensor: torch.Tensor, boxes: list[Box]) -> torch.Tensor:
    """Each sample's own box out of (B, C, H, W)."""
    return torch.stack([t[:, y : y + h, x : x + w] for t, (y, x, h, w) in zip(tensor, boxes, strict=True)])
