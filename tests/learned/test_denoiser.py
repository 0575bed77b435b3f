import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from steps import a_batch, a_noised

from wallpaint.cache.batches import Batch
from wallpaint.cache.draws import sample_draws
from wallpaint.learned.denoiser import add_noise, build_denoiser, painting_denoiser, parameter_groups
from wallpaint.models.bundle import set_ip_adapter_scale
from wallpaint.models.encoders import encode_references
from wallpaint.settings.methods import METHODS


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_only_what_a_method_learns_is_open(load, method):
    models = load()
    groups = parameter_groups(build_denoiser(models, method, lora_rank=2))
    for name, group in groups.items():
        assert all(p.requires_grad == (name in method.learns) for p in group.values()), name
    for name in method.learns:
        assert groups[name] and all(p.dtype == torch.float32 for p in groups[name].values())
    for module in (models.vae, models.text_encoder, models.image_encoder):
        assert not any(p.requires_grad for p in module.parameters())


def test_the_adapters_own_parameters_are_the_resampler_and_its_keys_and_values(load):
    names = parameter_groups(build_denoiser(load(), METHODS["ip_adapter"]))["ip_adapter"]
    assert {n.split(".")[-3] for n in names if "_ip." in n} == {"to_k_ip", "to_v_ip"}
    assert sum("image_proj" in n for n in names) == len(names) - 2 * 10  # ten cross-attentions


def test_the_lora_sits_on_the_unets_attention_and_not_on_the_resampler(load):
    names = parameter_groups(build_denoiser(load(), METHODS["joint"], lora_rank=2))["lora"]
    assert len(names) == 10 * 2 * 4 * 2  # blocks, attn1 and attn2, q k v out, A and B — and nothing else
    assert all(".attn1." in n or ".attn2." in n for n in names)
    assert not any("image_proj" in n or "processor" in n for n in names)


def test_the_lora_may_sit_on_all_of_the_blocks_layers_but_never_on_the_adapter(load):
    denoiser = build_denoiser(load(), METHODS["joint"], lora_rank=2, lora_target="all")
    names = parameter_groups(denoiser)["lora"]
    layers = {name.partition(".lora_")[0].rpartition(".")[2] for name in names}
    assert layers >= {"to_q", "to_k", "to_v", "0", "proj_in", "proj_out", "proj", "2", "conv1", "conv2"}
    assert not any("image_proj" in n or "processor" in n for n in names)


def test_the_old_method_is_the_unet_without_an_adapter(load, family):
    models = load()
    denoiser = build_denoiser(models, METHODS["lora"], lora_rank=2)
    plain = UNet2DConditionModel.from_pretrained(family / "unet").to(memory_format=torch.channels_last)
    batch, noised = a_batch(models), a_noised()
    latents = torch.cat([noised.latents, batch.mask, batch.masked_image_latents], 1)
    with torch.no_grad():
        expected = plain(latents, noised.timesteps, batch.prompt_embeds).sample
        torch.testing.assert_close(denoiser(noised, batch), expected, atol=1e-5, rtol=1e-5)


def test_the_adapter_is_heard_where_the_method_says_so(load):
    models = load()
    batch, noised = a_batch(models), a_noised()
    for name in ("lora", "lora_ip"):
        denoiser = build_denoiser(models, METHODS[name], lora_rank=2)
        with torch.no_grad():
            out = denoiser(noised, batch)
            changed = Batch(**{**vars(batch), "image_embeds": batch.image_embeds + 1})
            assert torch.allclose(denoiser(noised, changed), out, atol=1e-5) == (name == "lora")
        models.unet.unload_lora()


def test_states_through_a_learning_resampler_equal_its_cached_tokens(load):
    models = load()
    batch, noised = a_batch(models, 1), a_noised(1)
    with torch.no_grad():
        cached = painting_denoiser(models)(noised, batch)
        states = Batch(**{**vars(batch), "image_embeds": encode_references(models, [None])})
        learning = build_denoiser(models, METHODS["ip_adapter"])(noised, states)
        torch.testing.assert_close(learning, cached, atol=1e-5, rtol=1e-5)


def test_scale_weakens_the_adapter(load):
    models = load()
    batch, noised, denoiser = a_batch(models), a_noised(), painting_denoiser(models)
    with torch.no_grad():
        outs = []
        for scale in (0.0, 0.5, 1.0):
            set_ip_adapter_scale(models.unet, scale)
            outs.append(denoiser(noised, batch))
    assert (outs[1] - outs[0]).norm() < (outs[2] - outs[0]).norm()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_target_follows_the_schedulers_prediction_type(kind):
    scheduler = DDIMScheduler(prediction_type=kind)
    latents = torch.randn(4, 4, 8, 8)
    noised = add_noise(latents, scheduler, sample_draws(4, 0, 1))
    alpha = scheduler.alphas_cumprod[noised.timesteps][:, None, None, None]
    torch.testing.assert_close(noised.latents, alpha.sqrt() * latents + (1 - alpha).sqrt() * noised.noise)
    velocity = alpha.sqrt() * noised.noise - (1 - alpha).sqrt() * latents
    torch.testing.assert_close(noised.target, noised.noise if kind == "epsilon" else velocity)


def test_noise_is_a_function_of_its_draws_and_timesteps_cover_the_range():
    scheduler, latents = DDIMScheduler(), torch.zeros(512, 4, 2, 2)
    first, second = (add_noise(latents, scheduler, sample_draws(512, 0, 5)) for _ in range(2))
    assert torch.equal(first.latents, second.latents) and torch.equal(first.timesteps, second.timesteps)
    assert first.timesteps.min() < 20 and first.timesteps.max() > 979


def test_a_timestep_bias_draws_so_many_samples_from_the_last_tenth():
    scheduler, latents = DDIMScheduler(), torch.zeros(512, 4, 2, 2)
    even, biased = (add_noise(latents, scheduler, sample_draws(512, 0, 5), timestep_bias=b) for b in (0.0, 0.75))
    assert (even.timesteps >= 900).float().mean() == pytest.approx(0.1, abs=0.05)
    assert (biased.timesteps >= 900).float().mean() == pytest.approx(0.775, abs=0.06)
    assert biased.timesteps.min() < 40 and biased.timesteps.max() > 990 and torch.equal(biased.noise, even.noise)


def test_a_noise_offset_moves_whole_channels():
    latents = torch.zeros(64, 4, 16, 16)
    still = add_noise(latents, DDIMScheduler(), sample_draws(64, 0, 5))
    moved = add_noise(latents, DDIMScheduler(), sample_draws(64, 0, 5), noise_offset=0.5)
    assert still.noise.mean((2, 3)).std() < 0.1 < 0.4 < moved.noise.mean((2, 3)).std()


def test_what_learns_stays_float32_and_computes_in_the_dtype_of_the_frozen_layers(load):
    models = load()
    batch, noised = a_batch(models), a_noised()
    models.unet.to(torch.bfloat16)
    denoiser, dtypes = build_denoiser(models, METHODS["lora_ip"], lora_rank=2, lora_target="all"), set()
    learning = [p for p in denoiser.parameters() if p.requires_grad]
    for module in models.unet.modules():
        if not list(module.children()) and any(p.requires_grad for p in module.parameters()):
            module.register_forward_hook(lambda _, args, out: dtypes.update({args[0].dtype, out.dtype}))
    out = denoiser(noised, batch)
    out.square().mean().backward()
    assert out.dtype == torch.float32 and dtypes == {torch.bfloat16}
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in learning)
