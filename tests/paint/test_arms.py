"""Which models the arms paint on, and how strongly the adapter acts: as each arm's own run says."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from toys import paint_with, toy_room

from wallpaint.errors import UserError
from wallpaint.paint import arms as module
from wallpaint.paint.arms import find_run, open_arms
from wallpaint.paint.painter import Painter
from wallpaint.paint.sampler import paint_wall
from wallpaint.paint.settings import SamplingSettings
from wallpaint.pixels.color import Swatch
from wallpaint.pixels.recolor import Coat

SAGE = Swatch((122, 158, 126))
OURS = "family: room-tiny\nmethod: lora_ip\n"


@pytest.fixture
def opened(monkeypatch):
    """What would be loaded, and what each painter would paint, without loading anything."""
    painters = []

    class Noting:
        left_out = {}

        def __init__(self, models, paths, scales):
            self.models, self.paths, self.scales = models, paths, scales
            painters.append(self)

    monkeypatch.setattr("wallpaint.models.bundle.load_models", lambda name, **options: {"name": name, **options})
    monkeypatch.setattr("wallpaint.paint.painter.Painter", Noting)
    return painters


def run(tmp_path, name, settings=""):
    (tmp_path / name / "weights").mkdir(parents=True)
    (tmp_path / name / "config.yaml").write_text(OURS + settings)
    return f"{name}={tmp_path / name}"


@pytest.mark.parametrize(
    "setting",
    ["base_model: /models/mine", "prediction_type: epsilon", "resolution: 64", "ip_adapter_model: /models/adapter"],
)
def test_runs_on_different_models_are_painted_each_on_its_own(tmp_path, opened, setting):
    open_arms([run(tmp_path, "a"), run(tmp_path, "b", setting), run(tmp_path, "c", setting), "base"])
    assert [list(painter.paths) for painter in opened] == [["a", "base"], ["b", "c"]]
    key, value = setting.split(": ")
    assert key not in opened[0].models and str(opened[1].models[key]) == value


@pytest.mark.parametrize("setting", ["resolution: 128", "dinov2_model: /not/used", "learning_rate: 0.5"])
def test_settings_that_change_no_model_keep_arms_together(tmp_path, opened, setting):
    open_arms([run(tmp_path, "a"), run(tmp_path, "b", setting)])
    assert len(opened) == 1


def test_the_adapter_acts_as_strongly_as_in_each_arms_run_unless_it_is_said(tmp_path, opened):
    arms = [run(tmp_path, "a", "ip_adapter_scale: 0.3"), run(tmp_path, "b"), "base"]
    open_arms(arms)
    open_arms(arms, ip_adapter_scale=0.0)
    assert opened[0].scales == {"a": 0.3, "b": 1.0, "base": 1.0}
    assert set(opened[1].scales.values()) == {0.0}


def test_arms_of_different_strength_equal_arms_alone(load):
    photo, mask = toy_room(1, (200, 60, 50))
    settings, scales = SamplingSettings(3, 2, 2.0), {"weak": 0.2, "strong": 1.5}
    together = paint_with(Painter(load(), {"weak": None, "strong": None}, scales), photo, mask, SAGE, settings)
    for name, scale in scales.items():
        alone = paint_with(Painter(load(), {name: None}, {name: scale}), photo, mask, SAGE, settings)[name]
        assert np.abs(np.asarray(alone, int) - np.asarray(together[name], int)).max() <= 1
    assert (np.asarray(together["weak"]) != np.asarray(together["strong"])).any()


@pytest.mark.parametrize(
    "text",
    [
        "model: {target: ldm}\n",
        "family: resnet\nmethod: adam\n",
        "- a\n- list\n",
        "just words",
        ": [",
        "\x00",
        "family: [1]\nmethod: {a: 1}\n",
    ],
)
def test_a_config_of_another_tool_says_nothing_here(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "lora.safetensors").write_bytes(b"")
    assert find_run(tmp_path / "lora.safetensors") is None


def test_a_run_of_another_version_is_read_as_far_as_it_is_known(tmp_path):
    (tmp_path / "config.yaml").write_text(OURS + "base_model: /models/mine\nsetting_of_the_future: 3\n")
    (tmp_path / "run.json").write_text("{}")
    assert find_run(tmp_path).base_model == "/models/mine"
    (tmp_path / "config.yaml").write_text(": [")
    with pytest.raises(UserError, match=r"config\.yaml of the run .* cannot be read"):
        find_run(tmp_path)


def lora_file(path, width):
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    save_file({f"{name}.lora_A.weight": torch.zeros(2, width), f"{name}.lora_B.weight": torch.zeros(96, 2)}, path)
    return path


def test_a_file_tells_its_family(tmp_path, opened):
    mine = f"mine={lora_file(tmp_path / 'x.safetensors', 768)}"
    open_arms([mine, "base"])
    assert opened[0].models == {"name": "sd15"}
    for arms, family in (([mine], "room-tiny"), ([mine, run(tmp_path, "a")], None), ([mine, "old"], None)):
        with pytest.raises(UserError, match=r"different families .*mine on sd15"):
            open_arms(arms, family)


def test_a_file_whose_family_is_not_here_says_which_it_needs(tmp_path, monkeypatch):
    def missing(name, **options):
        raise UserError("model_index.json is missing: fetch it")

    monkeypatch.setattr("wallpaint.models.bundle.load_models", missing)
    with pytest.raises(UserError, match="^mine needs family sd15: model_index.json is missing: fetch it$"):
        open_arms([f"mine={lora_file(tmp_path / 'x.safetensors', 768)}", "base"])


def test_models_are_kept_for_the_next_call_and_let_go_when_others_are_asked_for(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(module, "_kept", {})
    monkeypatch.setattr(module, "_painters", {})
    a, b = run(tmp_path, "a"), run(tmp_path, "b", "resolution: 64")
    for arms in ([a], [a, "base"], [a, b], [b]):
        open_arms(arms, keep=True)
    first, again, both, other = (painter.models for painter in opened)  # that of b served twice
    assert first is again is both and list(module._kept.values()) == [other]


def test_a_painter_is_kept_until_its_weights_or_strength_are_others_or_one_could_not_be_made(
    tmp_path, opened, monkeypatch
):
    monkeypatch.setattr(module, "_kept", {})
    monkeypatch.setattr(module, "_painters", {})
    a, weights = run(tmp_path, "a"), tmp_path / "a" / "weights" / "pytorch_lora_weights.safetensors"
    counts = []
    for change in (
        lambda: None,
        lambda: None,
        lambda: weights.write_bytes(b"trained"),
        lambda: None,
        lambda: os.utime(weights, (1, 1)),  # trained again
    ):
        change()
        open_arms([a], keep=True)
        counts.append(len(opened))
    assert counts == [1, 1, 2, 2, 3]
    open_arms([a], keep=True, ip_adapter_scale=0.5)
    assert len(opened) == 4

    def fail(*made_of):
        raise UserError("broken")

    with monkeypatch.context() as broken:
        broken.setattr("wallpaint.paint.painter.Painter", fail)
        with pytest.raises(UserError, match="broken"):
            open_arms([a, "base"], keep=True)
    open_arms([a], keep=True, ip_adapter_scale=0.5)  # the UNet may be without its LoRAs by now
    assert len(opened) == 5


def test_without_guidance_the_unet_runs_once_and_says_the_same(load, heard):
    from wallpaint.learned.denoiser import painting_denoiser

    models, (photo, mask) = load(), toy_room(1, (200, 60, 50))
    denoiser, sizes = painting_denoiser(models), []
    models.unet.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(kwargs["sample"])), with_kwargs=True
    )
    coat = Coat(photo, mask, SAGE)
    paint_wall(models, denoiser, coat, SamplingSettings(1, 2, 1.0))
    assert sizes == [1, 1]
    paint_wall(models, denoiser, coat, SamplingSettings(1, 2, 1 + 1e-9))  # both passes, as if it were 1
    assert sizes[2:] == [2, 2]
    torch.testing.assert_close(*heard, atol=1e-5, rtol=1e-5)  # a batch of one and of two round differently


def test_what_an_arm_leaves_out_is_said_in_every_place(load, tmp_path, capsys):
    from wallpaint.report.compare import compare

    photo, mask = toy_room(1, (200, 60, 50))
    photo.save(tmp_path / "photo.png")
    mask.save(tmp_path / "mask.png")
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    state = {f"{layer}.lora_down.weight": torch.zeros(2, 96), f"{layer}.lora_up.weight": torch.zeros(96, 2)}
    save_file(state | {f"{layer}.diff_b": torch.ones(96)}, tmp_path / "biased.safetensors")
    arms = [f"mine={tmp_path / 'biased.safetensors'}", "base", "recolor"]
    settings = SamplingSettings(num_inference_steps=1)
    compare(tmp_path / "photo.png", tmp_path / "mask.png", SAGE, arms, tmp_path / "out", settings, models=load())
    rows = {row["name"]: row for row in json.loads((tmp_path / "out" / "comparison.json").read_text())["arms"]}
    assert "diff_b" in rows["mine"]["left_out"][0] and "left_out" not in rows["base"]
    assert "arm mine: not used of its file: differences of whole weights" in capsys.readouterr().err
    for name in ("report.html", "comparison.csv"):
        assert "differences of whole weights" in (tmp_path / "out" / name).read_text(), name
