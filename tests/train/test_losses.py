import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from wallpaint.cache.draws import Draws, sample_draws
from wallpaint.learned.denoiser import Noised, add_noise
from wallpaint.models.latents import decode_latents
from wallpaint.pixels import color
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.losses import (
    TRUST_FLOOR,
    ColorConsistencyLoss,
    Step,
    color_loss,
    cut,
    diffusion_loss,
    draw_boxes,
    predict_latents,
    tensor_to_lab,
    trust,
)

SAGE = torch.tensor([[122, 158, 126]]) / 255


class Family:
    """Only what a diffusion loss looks at."""

    def __init__(self, kind="epsilon"):
        self.noise_scheduler = DDIMScheduler(prediction_type=kind)


def diffusion_step(error, timesteps, kind="epsilon", mask=None, **settings):
    target = torch.zeros(len(timesteps), 4, 4, 4)
    noised = Noised(target, torch.tensor(timesteps), target, target)
    batch = type("B", (), {"mask": torch.ones(len(timesteps), 1, 4, 4) if mask is None else mask})
    return Step(target + error, noised, batch, Family(kind), TrainConfig(**settings), Draws(()))


def light_on_a_wall(size=16):
    """Half of the light on the left, all of it on the right: linear factors (1, 1, size, size)."""
    return torch.linspace(0.5, 1.0, size).expand(1, 1, size, size)


def painted(paint, light):
    """A wall in `paint` (1, 3) under `light`, sRGB (1, 3, H, W)."""
    linear = torch.from_numpy(color.srgb_to_linear(paint.numpy()))[:, :, None, None] * light
    return torch.from_numpy(color.linear_to_srgb(linear.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)


def test_lab_agrees_with_the_metrics_own():
    rgb = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours = tensor_to_lab(rgb)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, color.rgb_to_lab(rgb[0].permute(1, 2, 0).numpy()), atol=2e-2)


def test_lab_and_its_gradient_are_finite_everywhere():
    rgb = torch.tensor([-1.0, -0.055, 0.0, 1e-9, 0.04045, 0.5, 1.0, 2.0]).repeat(3, 1)[None, :, None]
    rgb.requires_grad_(True)
    lab = tensor_to_lab(rgb)
    lab.sum().backward()
    assert lab.isfinite().all() and rgb.grad.isfinite().all()
    assert (rgb.grad != 0).any(dim=1).all()  # also outside 0 to 1 something pulls


# Shaded without a reference keeps the picture's own light: there the slope leaves it out on purpose.
@pytest.mark.parametrize(("mode", "with_reference"), [("flat", True), ("flat", False), ("shaded", True)])
def test_the_colour_losss_gradient_is_the_finite_difference(mode, with_reference):
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, 4, 4, generator=generator) * 0.8 + 0.1
    wall = torch.ones(1, 1, 4, 4)
    wall[..., 0] = 0
    reference = painted(SAGE, light_on_a_wall(4)) if with_reference else None
    loss = lambda x: ColorConsistencyLoss(mode)(x, wall, SAGE, reference)  # noqa: E731
    picture.requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(picture), picture)
    direction = torch.randn(picture.shape, generator=generator)
    with torch.no_grad():
        h = 1e-2
        finite = (loss(picture + h * direction) - loss(picture - h * direction)) / (2 * h)
    assert finite.item() == pytest.approx((slope * direction).sum().item(), rel=0.02)


@pytest.mark.parametrize("mode", ["flat", "shaded"])
@pytest.mark.parametrize("value", [-0.5, 0.0, 0.5, 1.0, 1.5])
def test_the_colour_loss_never_gives_nan(mode, value):
    picture = torch.full((1, 3, 4, 4), value, requires_grad=True)
    for paint in (torch.zeros(1, 3), torch.ones(1, 3), torch.full((1, 3), value)):
        for wall in (torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)):
            for reference in (None, picture.detach(), torch.zeros_like(picture)):
                loss = ColorConsistencyLoss(mode)(picture, wall, paint, reference)
                (slope,) = torch.autograd.grad(loss, picture)
                assert loss.isfinite() and slope.isfinite().all()


def descend(mode, steps=400):
    """A grey wall in uneven light, moved by the colour loss alone."""
    light = light_on_a_wall()
    picture = painted(torch.full((1, 3), 0.5), light).requires_grad_(True)
    reference = painted(SAGE, light)
    optimizer = torch.optim.Adam([picture], lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        ColorConsistencyLoss(mode)(picture, torch.ones(1, 1, 16, 16), SAGE, reference).backward()
        optimizer.step()
    return picture.detach(), reference


def test_flat_erases_the_walls_shading_and_shaded_keeps_it():
    flat, truth = descend("flat")
    shaded, _ = descend("shaded")
    spread = lambda x: (tensor_to_lab(x)[:, 0, :, -1] - tensor_to_lab(x)[:, 0, :, 0]).mean().item()  # noqa: E731
    assert spread(truth) > 15  # LAB units of lightness from the dark end of the wall to the bright one
    assert abs(spread(flat)) < 1
    assert spread(shaded) == pytest.approx(spread(truth), abs=1)
    lab = tensor_to_lab(shaded) - tensor_to_lab(truth)
    assert lab.square().sum(1).sqrt().mean() < 1.5  # and the colour is the paint's, in that light
    assert (tensor_to_lab(flat) - tensor_to_lab(truth)).square().sum(1).sqrt().mean() > 5


def test_shaded_is_satisfied_by_the_paint_in_any_light_and_by_no_other_paint():
    for factor in (0.2, 0.5, 1.0):
        light = light_on_a_wall() * factor
        truth = painted(SAGE, light)
        loss, wall = ColorConsistencyLoss("shaded"), torch.ones(1, 1, 16, 16)
        for reference in (truth, None):
            assert loss(truth, wall, SAGE, reference) < 0.006  # half a LAB unit
        other = painted(torch.tensor([[158, 122, 126]]) / 255, light)
        assert loss(other, wall, SAGE, truth) > 0.1


def test_shaded_also_teaches_lightness_where_the_truth_is_known():
    truth = painted(SAGE, light_on_a_wall())
    darker = painted(SAGE, light_on_a_wall() * 0.5)
    loss, wall = ColorConsistencyLoss("shaded"), torch.ones(1, 1, 16, 16)
    assert loss(darker, wall, SAGE, None) < 0.006 < 0.1 < loss(darker, wall, SAGE, truth)


def test_flat_is_the_studys_formula():
    generator = torch.Generator().manual_seed(2)
    picture, wall = torch.rand(1, 3, 8, 8, generator=generator), torch.zeros(1, 1, 8, 8)
    wall[..., :5] = 1
    lab, paint = tensor_to_lab(picture), tensor_to_lab(SAGE[:, :, None, None])
    expected = torch.nn.functional.mse_loss(lab * wall, paint.expand_as(lab))
    torch.testing.assert_close(ColorConsistencyLoss("flat")(picture, wall, SAGE), expected)


@pytest.mark.parametrize("mode", ["flat", "shaded"])
def test_nothing_outside_the_wall_is_pulled(mode):
    picture = torch.rand(1, 3, 8, 8).requires_grad_(True)
    wall = torch.zeros(1, 1, 8, 8)
    wall[..., :4] = 1
    ColorConsistencyLoss(mode)(picture, wall, SAGE).backward()
    assert (picture.grad[..., 4:] == 0).all() and (picture.grad[..., :4] != 0).any()


def test_samples_count_by_their_weight():
    picture, wall = torch.rand(2, 3, 4, 4), torch.ones(2, 1, 4, 4)
    loss = ColorConsistencyLoss()
    both = loss(picture, wall, SAGE.repeat(2, 1), weight=torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(both, loss(picture[:1], wall[:1], SAGE) / 2)


def test_autocast_does_not_coarsen_the_colours():
    picture, wall = torch.rand(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        inside = ColorConsistencyLoss()(picture, wall, SAGE)
    torch.testing.assert_close(
        inside, ColorConsistencyLoss()(picture, wall, SAGE), rtol=1e-5, atol=0
    )  # bfloat16: 1e-2


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_perfect_prediction_stands_for_the_clean_latents(kind):
    scheduler = DDIMScheduler(prediction_type=kind)
    latents = torch.randn(8, 4, 4, 4)
    noised = add_noise(latents, scheduler, sample_draws(8, 0, 1))
    torch.testing.assert_close(predict_latents(noised.target, noised, scheduler), latents, atol=1e-3, rtol=1e-3)


def test_the_colour_loss_decodes_what_was_predicted_and_reaches_the_prediction(load):
    from steps import a_batch

    models = load()
    batch = a_batch(models)
    noised = add_noise(batch.latents, models.noise_scheduler, sample_draws(len(batch.color), 0, 1))
    for crop in (0, 4):
        config = TrainConfig(color_loss_crop=crop)
        wrong = (noised.target + torch.randn(noised.target.shape)).requires_grad_(True)
        losses = [
            color_loss(Step(p, noised, batch, models, config, sample_draws(len(batch.color), 0, 2)))
            for p in (noised.target, wrong)
        ]
        losses[1].backward()
        assert wrong.grad.abs().sum() > 0 and wrong.grad.isfinite().all() and losses[1].isfinite()


def test_the_colour_loss_decoded_a_few_pieces_at_a_time_is_that_of_all_at_once(load):
    from steps import a_batch

    models = load()
    models.noise_scheduler.register_to_config(prediction_type="epsilon")  # which not every timestep may tell
    batch = a_batch(models).pick(torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 0]))
    noised = add_noise(batch.latents, models.noise_scheduler, sample_draws(9, 0, 1))
    noised = replace(noised, timesteps=torch.tensor([900, 30, 400, 200, 350, 999, 10, 250, 800]))
    pred = (noised.target + 0.3 * torch.randn(noised.target.shape)).requires_grad_(True)
    side = 3 * min(pred.shape[-2:]) // 8
    size, told = pred.shape[-2:], trust(models.noise_scheduler, noised.timesteps) > TRUST_FLOOR
    boxes = draw_boxes(batch.wall[told], size, side, sample_draws(9, 0, 2).pick(told))
    assert len(boxes) % 4 and 4 < len(boxes) < 9
    clean = predict_latents(pred, noised, models.noise_scheduler)[told]
    walls = cut(batch.wall[told], [tuple(models.latent_factor * n for n in box) for box in boxes])
    expected = (
        ColorConsistencyLoss()(
            decode_latents(models, cut(clean, boxes)),
            walls,
            batch.color[told],
            decode_latents(models, cut(batch.latents[told], boxes)),
            trust(models.noise_scheduler, noised.timesteps[told]),
        )
        * len(boxes)
        / 9
    )
    slope = torch.autograd.grad(expected, pred)[0]
    step = Step(pred, noised, batch, models, TrainConfig(), sample_draws(9, 0, 2))
    loss = color_loss(step)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.autograd.grad(3 * loss, pred)[0], 3 * slope, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_timestep_counts_as_far_as_its_picture_can_be_trusted(kind):
    scheduler, timesteps = DDIMScheduler(prediction_type=kind), torch.tensor([10, 500, 990])
    latents, noise = torch.randn(3, 4, 4, 4), torch.randn(3, 4, 4, 4)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    noised = Noised(noisy, timesteps, noise, noise)
    wrong = predict_latents(noise + 0.1, noised, scheduler) - predict_latents(noise, noised, scheduler)
    amplified = wrong.abs().mean(dim=(1, 2, 3)) / 0.1
    torch.testing.assert_close(trust(scheduler, timesteps), 1 / (1 + amplified**2), rtol=1e-3, atol=1e-4)


def test_boxes_lie_inside_and_hold_some_wall():
    draws = sample_draws(3, 0, 0)
    wall = torch.zeros(3, 1, 128, 128)
    wall[0, :, :8, :8] = wall[1, :, -8:, -8:] = wall[2, :, 60:70, 60:70] = 1
    for side in (4, 16, 99, 0):
        boxes = draw_boxes(wall, (16, 16), side, draws)
        pieces = cut(wall, [tuple(8 * n for n in box) for box in boxes])
        assert pieces.shape[-1] == 8 * min(side or 16, 16)
        assert (pieces.sum(dim=(1, 2, 3)) > 0).all()
    assert draw_boxes(wall, (16, 16), 8, draws)[0] == (0, 0, 8, 8)


def test_without_options_the_diffusion_loss_is_the_mean_squared_error():
    error = torch.randn(2, 4, 4, 4)
    torch.testing.assert_close(diffusion_loss(diffusion_step(error, [3, 600])), error.square().mean())


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_weights_timesteps_as_its_paper_says(kind):
    scheduler = DDIMScheduler()
    for t in (10, 300, 900):
        alpha = scheduler.alphas_cumprod[t].item()
        snr = alpha / (1 - alpha)
        weight = min(snr, 5) / (snr + 1 if kind == "v_prediction" else snr)
        loss = diffusion_loss(diffusion_step(1.0, [t], kind, snr_gamma=5.0))
        assert loss.item() == pytest.approx(weight, rel=1e-3)


def test_the_mask_weight_moves_the_loss_onto_the_wall_and_keeps_its_size():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    inside = torch.zeros(1, 4, 4, 4)
    inside[..., :2] = 1
    even = diffusion_loss(diffusion_step(torch.ones(1, 4, 4, 4), [5], mask=mask, mask_loss_weight=0.1))
    assert even.item() == pytest.approx(1.0)
    on_wall = diffusion_loss(diffusion_step(inside, [5], mask=mask, mask_loss_weight=0.1)).item()
    off_wall = diffusion_loss(diffusion_step(1 - inside, [5], mask=mask, mask_loss_weight=0.1)).item()
    assert on_wall == pytest.approx(10 * off_wall, rel=1e-4)
    assert not math.isnan(diffusion_loss(diffusion_step(inside, [5], mask=mask * 0, mask_loss_weight=0.0)).item())
