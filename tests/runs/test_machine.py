"""What the doctor says of a machine, and what is chosen for its memory."""

import json

import pytest

from wallpaint.errors import UserError
from wallpaint.models.families import FAMILIES, resolve_family
from wallpaint.models.fetching import SAM_FILES, fetch_command
from wallpaint.runs import machine
from wallpaint.runs.device import Device
from wallpaint.settings.choices import FAMILY_PRESETS, PRESETS, choose_preset
from wallpaint.settings.train_config import TrainConfig
from wallpaint.train.warnings import settle_preset
from wallpaint.walls.finders import FINDERS

GB = 10**9


@pytest.fixture
def on(monkeypatch):
    """Pretend to be on a device of another kind and size."""

    def pretend(kind, total):
        device = Device(f"a {kind}", kind, total // 2, total)
        monkeypatch.setattr(machine, "find_device", lambda *args: device)
        monkeypatch.setattr("wallpaint.train.warnings.find_device", lambda *args: device)

    return pretend


def test_a_whole_family_is_ready_and_an_absent_one_says_once_what_fetches_it(on, tmp_path, monkeypatch):
    monkeypatch.delenv("WALLPAINT_SAM", raising=False)
    monkeypatch.chdir(tmp_path)
    on("cuda", 24 * GB)
    text = "\n".join(machine.describe_machine())
    text, *found_by = text.split("\nwalls found by ")
    tiny, sd15, sdxl = text.split("\nfamily ")[1:]
    assert found_by[0].startswith("room-tiny: ready") and found_by[1].startswith("sam: incomplete")
    for source in (FINDERS["sam"].sam, FINDERS["sam"].walls):
        assert found_by[1].count(fetch_command(source)) == 1
    assert tiny.startswith("room-tiny: ready") and "MISSING" not in tiny
    assert sdxl.startswith("sdxl: incomplete") and "24 GB fits" in sdxl
    assert sd15.startswith("sd15: incomplete") and "which fits" in sd15 and "24 GB fits" in sd15
    for source in (FAMILIES["sd15"].base_model, "h94/IP-Adapter"):
        assert sd15.count(fetch_command(source)) == 1
    on("cuda", 4 * GB)
    assert "which does not fit" in "\n".join(machine.describe_machine())


def test_a_family_is_incomplete_without_one_file_but_not_without_what_one_method_needs(family, monkeypatch):
    monkeypatch.delenv("WALLPAINT_SAM", raising=False)
    parts = machine.list_parts(resolve_family("room-tiny", base_model=str(family)))
    assert machine.is_ready(parts) and all(part.path for part in parts)
    hidden = family / "vae" / "diffusion_pytorch_model.safetensors"
    hidden.rename(family / "vae" / "hidden")
    try:
        parts = machine.list_parts(resolve_family("room-tiny", base_model=str(family)))
    finally:
        (family / "vae" / "hidden").rename(hidden)
    assert [part.label for part in parts if not part.path] == ["vae"] and not machine.is_ready(parts)
    parts = machine.list_parts(resolve_family("room-tiny", base_model=str(family), dinov2_model="absent"))
    assert [part.label for part in parts if not part.path] == ["DINOv2, for anydoor"] and machine.is_ready(parts)


@pytest.mark.parametrize("name", SAM_FILES)
def test_every_checkpoint_of_meta_has_its_command_and_size(name):
    assert fetch_command(name).startswith("`curl -LO https://") and " GB)" in fetch_command(name)


def test_every_preset_takes_as_many_samples_a_step():
    configs = {name: TrainConfig(memory_preset=name) for name in PRESETS}
    assert {batch * added for own in FAMILY_PRESETS.values() for batch, added, _ in own.values()} == {16}
    assert {c.train_batch_size * c.gradient_accumulation_steps for c in configs.values()} == {16}
    assert [c.train_batch_size for c in configs.values()] == [2, 4, 8, 16]
    assert configs["8 GB"].gradient_checkpointing and not configs["80 GB"].gradient_checkpointing


def test_a_larger_family_has_presets_of_its_own_and_refuses_what_it_does_not_fit():
    assert choose_preset(8 * GB, "sdxl")[0] == choose_preset(40 * GB, "sdxl")[0] == "24 GB"
    assert TrainConfig(family="sdxl", memory_preset="24 GB").gradient_checkpointing
    with pytest.raises(UserError, match="8 GB is too small for family sdxl.*choose 24 GB or 80 GB"):
        TrainConfig(family="sdxl", memory_preset="8 GB")


def test_a_preset_and_a_batch_of_another_size_contradict_each_other():
    with pytest.raises(UserError, match="train_batch_size is 5 but memory_preset is 24 GB"):
        TrainConfig(memory_preset="24 GB", train_batch_size=5)
    assert TrainConfig(memory_preset="8 GB", train_batch_size=2).gradient_accumulation_steps == 8


@pytest.mark.parametrize(
    ("total", "preset"), [(6, "8 GB"), (8, "8 GB"), (16, "12 GB"), (25.4, "24 GB"), (85, "80 GB")]
)
def test_the_largest_preset_that_fits_is_chosen_and_why_is_said(on, total, preset):
    assert choose_preset(total * GB)[0] == preset
    on("cuda", int(total * GB))
    config, why = settle_preset(TrainConfig(memory_preset="auto"))
    assert config.memory_preset == preset and config.train_batch_size == PRESETS[preset][0]
    assert preset in why and f"{total:.0f} GB" in why
    assert settle_preset(config) == (config, "")


def test_a_cpu_computes_in_float32_and_so_needs_twice_the_memory(on):
    on("cpu", 24 * GB)
    assert settle_preset(TrainConfig(memory_preset="auto"))[0].memory_preset == "12 GB"


def test_weights_in_pieces_are_as_large_as_their_pieces(tmp_path):
    pieces = {"a.weight": "model-00001-of-00002.safetensors", "b.weight": "model-00002-of-00002.safetensors"}
    for name in pieces.values():
        (tmp_path / name).write_bytes(bytes(3_000_000))
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {**pieces, "c.weight": "model-00001-of-00002.safetensors"}}))
    assert str(machine.Part("unet", index, "", False)).endswith("(6.0 MB)")
    index.write_text("broken")
    assert str(machine.Part("unet", index, "", False)).endswith("(0.0 MB)")
