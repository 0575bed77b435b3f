"""Every setting of the training shows its effect (losses: test_losses.py, noise: test_denoiser.py)."""

import pytest
import torch
from safetensors.torch import load_file
from steps import a_batch, a_noised

from wallpaint.learned.denoiser import build_denoiser
from wallpaint.paint.arms import open_arms
from wallpaint.settings.choices import METHOD_NAMES, meant_by
from wallpaint.settings.methods import METHODS
from wallpaint.settings.train_config import load_config
from wallpaint.train.loop import train
from wallpaint.train.session import open_session


def lora_of(load, **options):
    """A denoiser whose LoRA has learned something, and its LoRA's parameters by name."""
    torch.manual_seed(0)
    models = load()
    denoiser = build_denoiser(models, METHODS["lora_ip"], **options)
    lora = {name: p for name, p in denoiser.named_parameters() if ".lora_" in name}
    with torch.no_grad():
        for parameter in lora.values():
            parameter.copy_(0.05 * torch.randn_like(parameter))
    return models, denoiser, lora


def test_rank_is_the_width_of_the_lora(load):
    for rank in (2, 5):
        _, _, lora = lora_of(load, lora_rank=rank)
        assert {p.shape[0] for name, p in lora.items() if ".lora_A." in name} == {rank}


def test_alpha_over_rank_scales_the_lora(load):
    layers = []
    for alpha in (2, 8):
        models, _, _ = lora_of(load, lora_rank=4, lora_alpha=alpha)
        layer = models.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q
        x = torch.ones(1, 1, layer.in_features)
        with torch.no_grad():
            layers.append((layer(x) - layer.base_layer(x), layer.lora_B["default"](layer.lora_A["default"](x))))
    torch.testing.assert_close(layers[0][0], 0.5 * layers[0][1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(layers[1][0], 2.0 * layers[1][1], atol=1e-5, rtol=1e-4)


def test_dropout_acts_in_training_alone(load):
    models, denoiser, _ = lora_of(load, lora_rank=4, lora_dropout=0.5)
    batch, noised = a_batch(models), a_noised()
    with torch.no_grad():
        denoiser.train()
        assert not torch.equal(denoiser(noised, batch), denoiser(noised, batch))
        denoiser.eval()
        assert torch.equal(denoiser(noised, batch), denoiser(noised, batch))


def test_a_running_average_of_the_weights_is_saved_in_their_place(config):
    settings = config(use_ema=True, max_train_steps=3, checkpointing_steps=1, checkpoints_total_limit=9)
    average = {name: p.detach().clone() for name, p in open_session(settings, False).learned.items()}
    folder = train(settings)
    for step in (1, 2, 3):
        learned = load_file(folder / "checkpoints" / f"step-{step:06d}" / "learned.safetensors")
        decay = min(0.999, step / (9 + step))  # it warms up
        average = {name: decay * value + (1 - decay) * learned[name] for name, value in average.items()}
    kept = load_file(folder / "checkpoints" / "step-000003" / "ema.safetensors")
    saved = load_file(folder / "weights" / "pytorch_lora_weights.safetensors")
    name = next(name for name in average if "lora_B" in name)
    in_file = saved[name.replace(".default", "")]
    torch.testing.assert_close(kept[name], average[name], atol=1e-7, rtol=1e-5)
    assert torch.equal(in_file, kept[name]) and not torch.allclose(in_file, learned[name], atol=1e-5)


def test_a_prediction_type_of_its_own_is_trained_and_painted_with(config, tmp_path):
    plain = open_session(config(output_dir=str(tmp_path / "plain")), False)
    settings = config(prediction_type="epsilon", max_train_steps=1)
    assert plain.models.noise_scheduler.config.prediction_type == "v_prediction"
    folder = train(settings)
    opened = open_arms([f"mine={folder}"])
    assert opened.painters[0].models.noise_scheduler.config.prediction_type == "epsilon"


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_what_is_left_empty_is_the_methods_and_what_is_said_stays(method):
    names = ("image_drop_prob", "text_drop_prob", "both_drop_prob", "color_jitter", "random_mask_prob")
    settings = load_config(None, {"method": method})
    assert [getattr(settings, name) for name in names] == [meant_by(method)[name] for name in names]
    assert load_config(None, {"method": method, "image_drop_prob": ""}) == settings
    said = load_config(None, {"method": method, "image_drop_prob": "0.01", "color_jitter": "0"})
    assert (said.image_drop_prob, said.color_jitter) == (0.01, 0.0)


def test_paint_by_example_drops_as_its_paper_and_anydoor_as_the_study():
    assert meant_by("paint_by_example")["image_drop_prob"] == 0.2
    assert meant_by("anydoor")["image_drop_prob"] == 0.1
    assert meant_by("lora_ip")["image_drop_prob"] == meant_by("joint")["both_drop_prob"] == 0.05


def test_the_reference_may_be_another_than_the_methods_own(config, tmp_path):
    told = []
    for name, options in (("own", {}), ("swatch", {"reference": "swatch"}), ("one", {"reference_variants": 1})):
        settings = config(method="paint_by_example", output_dir=str(tmp_path / name), **options)
        told.append(open_session(settings, False).encoded)
    assert [e.groups[0]["reference"].shape[1] for e in told] == [4, 1, 1]
    assert len(told[1].references) == 1 + 2  # two paints
    assert not torch.allclose(told[1].references[1], told[2].references[1], atol=1e-4)
