"""A run that goes on from another's LoRA begins as strong as that one was."""

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from steps import save_arm

from wallpaint.learned.arm_files import LORA_NAME
from wallpaint.learned.denoiser import build_denoiser
from wallpaint.learned.export import export_kohya
from wallpaint.learned.weights import start_from
from wallpaint.settings.methods import METHODS


def effect(models):
    """What every LoRA layer adds to its base layer's weight."""
    layers = {name: m for name, m in models.unet.named_modules() if isinstance(m, LoraLayer)}
    return {name: layer.get_delta_weight("default").detach().clone() for name, layer in layers.items()}


def begin(load, path, alpha, rank=2):
    models, said = load(), []
    build_denoiser(models, METHODS["lora"], lora_rank=rank, lora_alpha=alpha)
    start_from(models, path, ("lora",), said.append)
    return effect(models), said


@pytest.fixture
def first(load, tmp_path):
    """A run of rank 2 and alpha 4."""
    return save_arm(load(), tmp_path / "first", "lora", 0)


@pytest.mark.parametrize("alpha", [1, 2, 8])
def test_another_alpha_keeps_the_strength_and_says_so(load, first, alpha):
    same, silent = begin(load, first, 4)
    other, said = begin(load, first, alpha)
    assert silent == [] and len(said) == 1 and f"alpha / rank 2, this run has {alpha / 2:g}" in said[0]
    for name, value in same.items():  # a product in another order of factors
        torch.testing.assert_close(other[name], value, atol=1e-6, rtol=1e-5)
    assert any(value.abs().max() > 1e-3 for value in same.values())


def test_files_that_tell_their_alpha_otherwise_keep_their_strength_too(load, first, tmp_path):
    same, _ = begin(load, first, 4)
    kohya = export_kohya(first, tmp_path / "kohya.safetensors")  # alpha as a tensor of each layer
    plain = tmp_path / "plain.safetensors"
    save_file(load_file(first / "weights" / LORA_NAME), plain)  # without metadata: of scale 1
    from_kohya, _ = begin(load, kohya, 1)
    from_plain, said = begin(load, plain, 4)
    assert "alpha / rank 1, this run has 2" in said[0]
    for name, value in same.items():
        torch.testing.assert_close(from_kohya[name], value, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(2 * from_plain[name], value, atol=1e-6, rtol=1e-5)
