"""DoRAs and halves for text encoders, in each layout: they say what peft and diffusers say, and then they go."""

import copy
import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from steps import a_batch, a_noised
from toys import paint_with, toy_room

from wallpaint.errors import UserError
from wallpaint.learned.arm_files import find_arm
from wallpaint.learned.denoiser import LORA_TARGETS, painting_denoiser
from wallpaint.learned.lora_files import describe_lora
from wallpaint.learned.weights import load_arm, start_from, weights_in_place
from wallpaint.models.encoders import encode_text
from wallpaint.paint.lora_batch import lora_batch, lora_layers
from wallpaint.paint.painter import Painter
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch

LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = f"lora_unet_{LAYER.replace('.', '_')}"
TEXT_LAYER = "encoder.layers.0.self_attn.out_proj"


def teach(models, target="all"):
    """Put a DoRA that has moved into a UNet, by peft itself; give its tensors and what it says."""
    torch.manual_seed(0)
    shape = {"r": 2, "lora_alpha": 6, "use_dora": True, "init_lora_weights": False}
    models.unet.add_adapter(LoraConfig(target_modules=LORA_TARGETS[target], **shape))
    with torch.no_grad():
        for name, parameter in models.unet.named_parameters():
            if "magnitude" in name:
                parameter *= 1 + 0.3 * torch.rand_like(parameter)
            elif "lora_" in name:
                parameter.copy_(0.05 * torch.randn_like(parameter))
        state = {key: value.clone() for key, value in get_peft_model_state_dict(models.unet).items()}
        return state, predict(models)


def predict(models):
    batch = a_batch(models)  # it seeds what is drawn next
    with torch.no_grad():
        return painting_denoiser(models)(a_noised(), batch)


def say(models, arm, name="arm0"):
    names = [name if name in getattr(models.unet, "peft_config", {}) else "__base__"] * 2
    with weights_in_place(models, arm, "an arm"), lora_batch(lora_layers(models.unet), names):
        return predict(models)


def as_kohya(state):
    """The same as Kohya's trainers and LyCORIS write it; a magnitude has the weight's dimensions."""
    factors = {f"unet.{key}": value for key, value in state.items() if "magnitude" not in key}
    out = {key: v * 3 if key.endswith(".alpha") else v for key, v in convert_state_dict_to_kohya(factors).items()}
    for key, value in state.items():
        if "magnitude" in key:
            layer = "lora_unet_" + key.partition(".lora_magnitude")[0].replace(".", "_")
            out[f"{layer}.dora_scale"] = value.reshape(-1, *[1] * (out[f"{layer}.lora_down.weight"].ndim - 1))
    return {key: value.contiguous() for key, value in out.items()}


def write(tmp_path, state, name="mine", **how):
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / f"{name}.safetensors", **how)
    return tmp_path / f"{name}.safetensors"


@pytest.mark.parametrize("layout", ["kohya", "diffusers", "peft"])
def test_a_dora_says_what_peft_says_and_leaves_the_unet_as_it_was(load, tmp_path, layout):
    taught, models = load(), load()
    state, wanted = teach(taught)
    if layout == "kohya":
        path = write(tmp_path, as_kohya(state))
    elif layout == "diffusers":
        from diffusers.training_utils import _collate_lora_metadata

        StableDiffusionInpaintPipeline.save_lora_weights(
            tmp_path, state, weight_name="mine.safetensors", **_collate_lora_metadata({"unet": taught.unet})
        )
        path = tmp_path / "mine.safetensors"
    else:
        named = {key.replace("vector", "vector.weight"): value for key, value in state.items()}
        path = write(tmp_path, {f"base_model.model.{key}": value for key, value in named.items()})
        (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 6}')
    described = describe_lora(path)
    assert (described.kind, described.left_out) == ("DoRA", ())
    plain, arm = predict(models), load_arm(models, find_arm(path), "arm0")
    torch.testing.assert_close(say(models, arm), wanted, atol=1e-4, rtol=1e-4)
    assert torch.equal(predict(models), plain) and (plain - wanted).abs().max() > 1e-3


def test_lycoris_magnitudes_may_be_those_of_a_layers_inputs(load, tmp_path):
    models = load()
    down, up, lengths = torch.randn(2, 96), torch.randn(96, 2), torch.rand(1, 96) + 0.5
    state = {f"{KOHYA}.lora_down.weight": down, f"{KOHYA}.lora_up.weight": up, f"{KOHYA}.dora_scale": lengths}
    before, merged = merged_layer(models, write(tmp_path, state | {f"{KOHYA}.alpha": torch.tensor(1.0)}))
    whole = before + 0.5 * up @ down
    norm = whole.transpose(0, 1).reshape(96, -1).norm(dim=1, keepdim=True).reshape(96, 1).transpose(0, 1)
    torch.testing.assert_close(merged, whole * (lengths / norm))  # as LyCORIS's apply_weight_decompose


def pair(layer, make=torch.zeros, down="lora_down", up="lora_up"):
    """The factors of a layer of 96 numbers."""
    return {f"{layer}.{down}.weight": make(2, 96), f"{layer}.{up}.weight": make(96, 2)}


def text_factors(models):
    width = models.text_encoder.config.hidden_size
    return torch.randn(2, width), torch.randn(width, 2)


def merged_layer(models, path):
    """The weights of the one layer that an arm changes, before and after."""
    ((layer, merged),) = load_arm(models, find_arm(path), "arm0").merged.items()
    return layer.weight, merged


def text_half(layout, down, up, alpha):
    dotted = {"diffusers": ("lora_A", "lora_B"), "linear_layer": ("lora_linear_layer.down", "lora_linear_layer.up")}
    if layout in dotted:
        first, second = dotted[layout]
        name = f"text_encoder.text_model.{TEXT_LAYER}"
        return {f"{name}.{first}.weight": down, f"{name}.{second}.weight": up * (alpha / 2)}
    if layout == "oldest":
        name = f"text_encoder.text_model.{TEXT_LAYER.replace('out_proj', 'to_out_lora')}"
        return {f"{name}.down.weight": down, f"{name}.up.weight": up * (alpha / 2)}
    if layout in ("lora_te.", "text_encoders.clip_l.transformer."):
        name = f"{layout}text_model.{TEXT_LAYER}"
        return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up * (alpha / 2)}
    name = f"{layout}_text_model_{TEXT_LAYER.replace('.', '_')}"
    factors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    return factors | {f"{name}.alpha": torch.tensor(float(alpha))}


@pytest.mark.parametrize("layout", ["lora_te", "lora_te1", "diffusers", "linear_layer", "oldest"])
def test_the_half_for_the_text_encoder_is_used(load, family, tmp_path, layout):
    models = load()
    torch.manual_seed(1)
    down, up = text_factors(models)
    unet = pair(KOHYA) if layout.startswith("lora_te") else pair(f"unet.{LAYER}", down="lora_A", up="lora_B")
    path = write(tmp_path, unet | text_half(layout, down, up, 5))
    assert describe_lora(path).left_out == () and describe_lora(path).text
    plain = encode_text(models, ["a wall"])["prompt_embeds"]
    arm = load_arm(models, find_arm(path), "arm0")
    with weights_in_place(models, arm, "an arm"):
        ours = encode_text(models, ["a wall"])["prompt_embeds"]
    assert torch.equal(encode_text(models, ["a wall"])["prompt_embeds"], plain)
    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        family, safety_checker=None, feature_extractor=None, image_encoder=None
    )
    pipe.load_lora_weights(str(tmp_path), weight_name=path.name)
    theirs = pipe.encode_prompt("a wall", "cpu", 1, False)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - plain).abs().max() > 1e-2


@pytest.mark.parametrize("layout", ["lora_te.", "text_encoders.clip_l.transformer."])
def test_the_half_for_the_text_encoder_is_used_as_onetrainer_and_comfyui_name_it(load, tmp_path, layout):
    models = load()
    down, up = text_factors(models)
    path = write(tmp_path, pair(KOHYA) | text_half(layout, down, up, 6))
    assert describe_lora(path).left_out == ()
    before, merged = merged_layer(models, path)
    torch.testing.assert_close(merged, before + 3 * up @ down)


def test_a_scalar_is_heard_in_the_half_for_the_text_encoder(load, tmp_path):
    models = load()
    down, up = text_factors(models)
    scalar = {f"lora_te_text_model_{TEXT_LAYER.replace('.', '_')}.scalar": torch.tensor(0.5)}
    state = pair(KOHYA) | text_half("lora_te", down, up, 6) | scalar
    before, merged = merged_layer(models, write(tmp_path, state))
    torch.testing.assert_close(merged, before + 3 * 0.5 * up @ down)


@pytest.mark.parametrize("pattern", ["out_proj", f"text_model.{TEXT_LAYER}", r"encoder\.layers\.0\..*"])
def test_an_alpha_of_ones_own_is_heard_in_the_half_for_the_text_encoder(load, tmp_path, pattern):
    models = load()
    down, up = text_factors(models)
    state = pair(f"unet.{LAYER}", down="lora_A", up="lora_B") | text_half("diffusers", down, up, 2)
    told = {"r": 2, "lora_alpha": 8, "target_modules": ["to_k"]}
    header = {f"unet.{key}": value for key, value in told.items()}
    header |= {f"text_encoder.{key}": value for key, value in (told | {"alpha_pattern": {pattern: 6}}).items()}
    path = write(tmp_path, state, metadata={"lora_adapter_metadata": json.dumps(header)})
    before, merged = merged_layer(models, path)
    torch.testing.assert_close(merged, before + 3 * up @ down)


def test_arms_that_are_merged_paint_beside_others_as_alone(load, tmp_path):
    models = load()
    torch.manual_seed(1)
    plain, text = pair(KOHYA, torch.randn), text_half("lora_te", *text_factors(models), 2)
    dora = {f"{KOHYA}.dora_scale": 3 * torch.rand(96, 1)}
    arms = {"base": None, "plain": write(tmp_path, plain, "plain"), "text": write(tmp_path, plain | text, "text")}
    arms["dora"] = write(tmp_path, plain | dora, "dora")
    photo, mask = toy_room(1, (200, 60, 50))
    settings = SamplingSettings(3, 2, 2.0, prompt="a room")
    together = paint_with(Painter(models, arms), photo, mask, Swatch((122, 158, 126)), settings)
    for name, path in arms.items():
        alone = paint_with(Painter(load(), {name: path}), photo, mask, Swatch((122, 158, 126)), settings)[name]
        assert np.abs(np.asarray(alone, int) - np.asarray(together[name], int)).max() <= 1
    pictures = {picture.tobytes() for picture in together.values()}
    assert len(pictures) == len(arms)


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("broken .magnitudes", {f"{KOHYA}.dora_scale": torch.ones(7, 1)}),
        ("broken .magnitudes", {f"{KOHYA}.dora_scale": torch.ones(96, 1, 1)}),
        ("no numbers", {f"{KOHYA}.dora_scale": torch.full((96, 1), float("nan"))}),
        ("does not fit this model's text encoder", text_half("lora_te", torch.ones(2, 9), torch.ones(9, 2), 1)),
        ("does not fit this model's text encoder", text_half("lora_te2", torch.ones(2, 96), torch.ones(96, 2), 1)),
    ],
)
def test_what_does_not_fit_is_one_line(load, tmp_path, what, more):
    path = write(tmp_path, pair(KOHYA, torch.randn) | more)
    with pytest.raises(UserError, match=what):
        load_arm(load(), find_arm(path), "arm0")


def test_a_dora_is_nothing_to_go_on_from(load, tmp_path):
    taught = load()
    path = write(tmp_path, as_kohya(teach(copy.deepcopy(taught), "attention")[0]))
    taught.unet.add_adapter(LoraConfig(target_modules=LORA_TARGETS["attention"], r=2), adapter_name="default")
    with pytest.raises(UserError, match="is a DoRA"):
        start_from(taught, path, ("lora",))
